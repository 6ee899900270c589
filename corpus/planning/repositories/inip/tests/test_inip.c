#include "inip.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static int collect(const char *section, const char *key, const char *value, void *data)
{
    char *all = data;

    sprintf(all + strlen(all), "%s.%s=%s;", section, key, value);
    return 0;
}

static void reads_sections_and_keys(void)
{
    char all[256] = "";
    int line;

    assert(inip_parse("a = 1\n; note\n[net]\nhost = x y \n", collect, all, &line) == INIP_OK);
    assert(strcmp(all, ".a=1;net.host=x y;") == 0);
}

static void names_the_bad_line(void)
{
    char all[256] = "";
    int line;

    assert(inip_parse("a = 1\nnonsense\n", collect, all, &line) == INIP_SYNTAX);
    assert(line == 2);
}

static void finds_one_value(void)
{
    char value[INIP_VALUE_MAX];

    assert(inip_get("tests/sample.ini", "server", "port", value, sizeof value) == 1);
    assert(strcmp(value, "8080") == 0);
    assert(inip_get("tests/sample.ini", "server", "user", value, sizeof value) == 0);
}

int main(void)
{
    reads_sections_and_keys();
    names_the_bad_line();
    finds_one_value();
    puts("3 tests passed");
    return 0;
}
