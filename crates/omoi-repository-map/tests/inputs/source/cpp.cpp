#define M(x) x
namespace a::b { template <typename T> class C : public D { T operator()(int x) const noexcept { return R"(raw)"; } }; }
static int (*f(void))(int) { return 0; }
#ifdef X
#endif
