package a;
@Ann(x = 1)
public record A<T>(int b) implements C { A { } static <U> U d(U u) throws E { return switch (u) { default -> u; }; } }
