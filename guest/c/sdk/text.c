// Texts and decimals.

#include "abi.h"
#include <stdarg.h>

th_text th_string(const char *zero_ended) { return (th_text){zero_ended, strlen(zero_ended)}; }

th_text th_of_abi(abi_list list) { return (th_text){list.at ? list.at : "", list.count}; }

abi_list th_abi_text(th_text text) { return (abi_list){(void *)text.at, (uint32_t)text.size}; }

bool th_equal(th_text one, th_text other) {
    return one.size == other.size && (one.size == 0 || memcmp(one.at, other.at, one.size) == 0);
}

static char small(char letter) { return letter >= 'A' && letter <= 'Z' ? (char)(letter + 32) : letter; }

static bool alike(th_text one, th_text other) {
    if (one.size != other.size) return false;
    for (size_t at = 0; at < one.size; at++)
        if (small(one.at[at]) != small(other.at[at])) return false;
    return true;
}

bool th_equal_names(const char *one, th_text other) { return alike(th_string(one), other); }

th_text th_cut(th_text text, size_t from, size_t to) {
    if (to > text.size) to = text.size;
    if (from > to) from = to;
    return (th_text){text.at ? text.at + from : NULL, to - from};
}

size_t th_find(th_text text, char byte) {
    const char *found = text.size ? memchr(text.at, byte, text.size) : NULL;
    return found ? (size_t)(found - text.at) : text.size;
}

static th_text without_end(th_text text) {
    while (text.size && text.at[text.size - 1] == ' ') text.size--;
    return text;
}

th_text th_trimmed(th_text text) {
    size_t from = 0;
    while (from < text.size && text.at[from] == ' ') from++;
    return without_end(th_cut(text, from, text.size));
}

th_text th_lower(th_text text) {
    char *copy = th_alloc(text.size + 1);
    for (size_t at = 0; at < text.size; at++) copy[at] = small(text.at[at]);
    return (th_text){copy, text.size};
}

th_text th_first_letter(th_text text) {
    size_t size = text.size ? 1 : 0;
    while (size < text.size && ((unsigned char)text.at[size] & 0xC0) == 0x80) size++;
    return th_cut(text, 0, size);
}

th_text th_joined(int count, ...) {
    va_list parts;
    size_t size = 0;
    va_start(parts, count);
    for (int at = 0; at < count; at++) size += va_arg(parts, th_text).size;
    va_end(parts);
    char *joined = th_alloc(size + 1), *end = joined;
    va_start(parts, count);
    for (int at = 0; at < count; at++) {
        th_text part = va_arg(parts, th_text);
        if (part.size) memcpy(end, part.at, part.size);
        end += part.size;
    }
    va_end(parts);
    return (th_text){joined, size};
}

bool th_is_own_store(const th_context *context, th_text store) {
    th_text own = without_end(context->store);
    return store.at && own.size && alike(own, without_end(store));
}

// Divisions and products of 128 bits would need a library of the compiler's: by ten they are short.
static unsigned __int128 tenth(unsigned __int128 number, unsigned *rest) {
    unsigned __int128 quotient = 0;
    uint64_t carry = 0;
    for (int limb = 3; limb >= 0; limb--) {
        uint64_t part = carry << 32 | (uint32_t)(limb == 3   ? number >> 96
                                                 : limb == 2 ? number >> 64
                                                 : limb == 1 ? number >> 32
                                                             : number);
        quotient = quotient << 32 | part / 10;
        carry = part % 10;
    }
    *rest = (unsigned)carry;
    return quotient;
}

th_decimal th_rounded(th_decimal decimal, uint8_t scale) {
    bool negative = decimal.unscaled < 0;
    unsigned __int128 size = negative ? -(unsigned __int128)decimal.unscaled : (unsigned __int128)decimal.unscaled;
    unsigned digit = 0;
    // The digit that is cut off last decides: half a unit or more goes away from zero.
    for (; decimal.scale > scale; decimal.scale--) size = tenth(size, &digit);
    size += digit >= 5;
    for (; decimal.scale < scale; decimal.scale++) {
        if (size >> 123) th_fail("a decimal", "more than 128 bits");
        size = (size << 3) + (size << 1);
    }
    return (th_decimal){negative ? -(__int128)size : (__int128)size, scale};
}

int th_compare(th_decimal one, th_decimal other) {
    uint8_t scale = one.scale > other.scale ? one.scale : other.scale;
    __int128 a = th_rounded(one, scale).unscaled, b = th_rounded(other, scale).unscaled;
    return (a > b) - (a < b);
}
