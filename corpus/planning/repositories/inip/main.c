#include "inip.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    char value[INIP_VALUE_MAX];
    int status;

    if (argc != 4) {
        fprintf(stderr, "usage: inip FILE SECTION KEY\n");
        return 2;
    }
    status = inip_get(argv[1], argv[2], argv[3], value, sizeof value);
    if (status < 0) {
        fprintf(stderr, "inip: %s: error %d\n", argv[1], status);
        return 2;
    }
    if (status == 0)
        return 1;
    puts(value);
    return 0;
}
