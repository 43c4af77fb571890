// What the compiler calls for integers of 128 bits: its own library for WebAssembly is seldom installed.

#include <stdint.h>

typedef unsigned __int128 wide;

static wide of_halves(uint64_t low, uint64_t high) { return (wide)high << 64 | low; }

static wide product(uint64_t one, uint64_t other) {
    uint64_t a = one >> 32, b = (uint32_t)one, c = other >> 32, d = (uint32_t)other;
    uint64_t low = b * d, middle = a * d + (low >> 32), cross = b * c + (uint32_t)middle;
    return of_halves(cross << 32 | (uint32_t)low, a * c + (middle >> 32) + (cross >> 32));
}

__int128 __multi3(__int128 one, __int128 other) {
    uint64_t one_low = (uint64_t)one, other_low = (uint64_t)other;
    wide low = product(one_low, other_low);
    uint64_t high = (uint64_t)(low >> 64) + one_low * (uint64_t)((wide)other >> 64)
                    + (uint64_t)((wide)one >> 64) * other_low;
    return (__int128)of_halves((uint64_t)low, high);
}

static wide divided(wide number, wide by, wide *rest) {
    wide quotient = 0;
    *rest = 0;
    for (int bit = 127; bit >= 0; bit--) {
        *rest = *rest << 1 | (number >> 127 & 1);
        number = number << 1;
        quotient = quotient << 1;
        if (*rest >= by) {
            *rest -= by;
            quotient |= 1;
        }
    }
    return quotient;
}

static wide size_of(__int128 number) { return number < 0 ? -(wide)number : (wide)number; }

wide __udivti3(wide number, wide by) {
    wide rest;
    return divided(number, by, &rest);
}

wide __umodti3(wide number, wide by) {
    wide rest;
    divided(number, by, &rest);
    return rest;
}

__int128 __divti3(__int128 number, __int128 by) {
    wide quotient = __udivti3(size_of(number), size_of(by));
    return (number < 0) != (by < 0) ? -(__int128)quotient : (__int128)quotient;
}

__int128 __modti3(__int128 number, __int128 by) {
    wide rest = __umodti3(size_of(number), size_of(by));
    return number < 0 ? -(__int128)rest : (__int128)rest;
}
