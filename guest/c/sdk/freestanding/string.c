// Compiled into the component alone, without the builtins that would make them call themselves.

#include "string.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    for (size_t at = 0; at < size; at++) ((char *)to)[at] = ((const char *)from)[at];
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    if ((const char *)to <= (const char *)from) return memcpy(to, from, size);
    while (size--) ((char *)to)[size] = ((const char *)from)[size];
    return to;
}

void *memset(void *at, int byte, size_t size) {
    while (size--) ((char *)at)[size] = (char)byte;
    return at;
}

int memcmp(const void *one, const void *other, size_t size) {
    const unsigned char *a = one, *b = other;
    for (size_t at = 0; at < size; at++)
        if (a[at] != b[at]) return a[at] - b[at];
    return 0;
}

void *memchr(const void *at, int byte, size_t size) {
    for (const unsigned char *one = at; size--; one++)
        if (*one == (unsigned char)byte) return (void *)one;
    return NULL;
}

size_t strlen(const char *text) {
    size_t size = 0;
    while (text[size]) size++;
    return size;
}

int strcmp(const char *one, const char *other) {
    while (*one && *one == *other) one++, other++;
    return (unsigned char)*one - (unsigned char)*other;
}
