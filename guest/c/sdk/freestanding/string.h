// What a plugin has of the C library; string.c beside it defines it.
#ifndef TILLHOLD_STRING_H
#define TILLHOLD_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *at, int byte, size_t size);
int memcmp(const void *one, const void *other, size_t size);
void *memchr(const void *at, int byte, size_t size);
size_t strlen(const char *text);
int strcmp(const char *one, const char *other);

#endif
