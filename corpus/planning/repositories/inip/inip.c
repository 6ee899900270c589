#include "inip.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies the trimmed range into `out`; INIP_TOO_LONG when it does not fit. */
static int copy_trimmed(char *out, size_t size, const char *from, const char *to)
{
    while (from < to && isspace((unsigned char)*from))
        from++;
    while (to > from && isspace((unsigned char)to[-1]))
        to--;
    if ((size_t)(to - from) >= size)
        return INIP_TOO_LONG;
    memcpy(out, from, (size_t)(to - from));
    out[to - from] = '\0';
    return INIP_OK;
}

int inip_parse(const char *text, inip_handler handler, void *data, int *line)
{
    char section[INIP_NAME_MAX] = "";
    char key[INIP_NAME_MAX];
    char value[INIP_VALUE_MAX];

    for (*line = 1; *text; ++*line) {
        const char *end = text + strcspn(text, "\n");
        const char *start = text;
        int status = INIP_OK;

        while (start < end && isspace((unsigned char)*start))
            start++;
        if (start < end && *start == '[') {
            const char *close = memchr(start, ']', (size_t)(end - start));
            status = close ? copy_trimmed(section, sizeof section, start + 1, close) : INIP_SYNTAX;
        } else if (start < end && *start != ';' && *start != '#') {
            const char *equals = memchr(start, '=', (size_t)(end - start));
            if (!equals)
                return INIP_SYNTAX;
            status = copy_trimmed(key, sizeof key, start, equals);
            if (status == INIP_OK)
                status = copy_trimmed(value, sizeof value, equals + 1, end);
            if (status == INIP_OK)
                status = handler(section, key, value, data);
        }
        if (status != INIP_OK)
            return status;
        text = *end ? end + 1 : end;
    }
    return INIP_OK;
}

int inip_parse_file(const char *path, inip_handler handler, void *data, int *line)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    long length;
    int status = INIP_IO;

    *line = 0;
    if (!file)
        return INIP_IO;
    if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0) {
        rewind(file);
        text = malloc((size_t)length + 1);
        if (text && fread(text, 1, (size_t)length, file) == (size_t)length) {
            text[length] = '\0';
            status = inip_parse(text, handler, data, line);
        }
    }
    free(text);
    fclose(file);
    return status;
}

struct lookup {
    const char *section, *key;
    char *out;
    size_t size;
    int found;
};

static int remember(const char *section, const char *key, const char *value, void *data)
{
    struct lookup *lookup = data;

    if (strcmp(section, lookup->section) != 0 || strcmp(key, lookup->key) != 0)
        return 0;
    if (strlen(value) >= lookup->size)
        return INIP_TOO_LONG;
    strcpy(lookup->out, value);
    lookup->found = 1;
    return 0;
}

int inip_get(const char *path, const char *section, const char *key, char *out, size_t size)
{
    struct lookup lookup = { section, key, out, size, 0 };
    int line;
    int status = inip_parse_file(path, remember, &lookup, &line);

    return status == INIP_OK ? lookup.found : status;
}
