// Memory of a call, the log, and how a plugin stops: inside the component, and on the author's own machine.

#include "abi.h"

#ifdef __wasm32__

extern uint8_t __heap_base;
static uintptr_t next;

static void *take(size_t size, size_t align) {
    if (next == 0) next = (uintptr_t)&__heap_base;
    uintptr_t start = (next + align - 1) & ~(uintptr_t)(align - 1);
    uintptr_t end = start + size, there = __builtin_wasm_memory_size(0) << 16;
    if (end < start) __builtin_trap();
    if (end > there && __builtin_wasm_memory_grow(0, (end - there + 0xFFFF) >> 16) == (size_t)-1) __builtin_trap();
    next = end;
    return (void *)start;
}

// How the host asks for memory to put a call's arguments in.
EXPORT("cabi_realloc")
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t new_size) {
    void *block = take(new_size, align);
    if (old_size) memcpy(block, old, old_size < new_size ? old_size : new_size);
    return block;
}

// An instance lives for one call.
void th_forget(void) {}

__attribute__((__import_module__("tillhold:plugin/log@0.1.0"), __import_name__("write")))
extern void log_write(int32_t level, const char *at, size_t size);

void th_info(th_text line) { log_write(0, line.at, line.size); }
void th_warning(th_text line) { log_write(1, line.at, line.size); }

_Noreturn void th_fail(const char *why, const char *what) {
    th_warning(th_joined(3, th_string(why), th_string(": "), th_string(what)));
    __builtin_trap();
}

#else

#include <stdio.h>
#include <stdlib.h>

// Each block begins with the one before it.
static union block { union block *before; max_align_t align; } *last;

static void *take(size_t size, size_t align) {
    (void)align;
    union block *block = malloc(sizeof *block + size);
    if (!block) abort();
    block->before = last;
    last = block;
    return block + 1;
}

void th_forget(void) {
    while (last) {
        union block *before = last->before;
        free(last);
        last = before;
    }
}

static void say(const char *level, th_text line) {
    fprintf(stderr, "%s: %.*s\n", level, (int)line.size, line.at);
}

void th_info(th_text line) { say("info", line); }
void th_warning(th_text line) { say("warning", line); }

_Noreturn void th_fail(const char *why, const char *what) {
    fprintf(stderr, "%s: %s\n", why, what);
    abort();
}

#endif

void *th_alloc(size_t size) { return memset(take(size, 16), 0, size); }
