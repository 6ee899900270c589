#ifndef INIP_H
#define INIP_H

#include <stddef.h>

#define INIP_NAME_MAX 64
#define INIP_VALUE_MAX 256

/* Called for each key; a result other than 0 ends the reading and is returned. */
typedef int (*inip_handler)(const char *section, const char *key, const char *value, void *data);

enum inip_status {
    INIP_OK = 0,
    INIP_SYNTAX = -1, /* a line that is nothing of the format */
    INIP_TOO_LONG = -2, /* a name or value beyond its limit */
    INIP_IO = -3 /* the file cannot be read */
};

/* Reads `text`; on an error `*line` is the number of the line, from 1. */
int inip_parse(const char *text, inip_handler handler, void *data, int *line);

/* Reads the file at `path` in the same way. */
int inip_parse_file(const char *path, inip_handler handler, void *data, int *line);

/* Copies the value of `key` in `section` into `out`; 1 when found, 0 when not, else an error. */
int inip_get(const char *path, const char *section, const char *key, char *out, size_t size);

#endif
