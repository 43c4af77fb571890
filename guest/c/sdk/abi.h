// The contract's types as they lie in memory (Component Model, Canonical ABI), and what the kit's files share. Authors never
// need it. On the author's own machine pointers are wider, and nothing but the kit sees these.
#ifndef TILLHOLD_ABI_H
#define TILLHOLD_ABI_H

#include "tillhold.h"

typedef struct { void *at; uint32_t count; } abi_list;
typedef struct { uint8_t scale; abi_list low, high; } abi_decimals;
typedef struct { abi_list offsets, bytes; } abi_packed;
typedef struct { abi_list utc, minutes; } abi_moments;
typedef struct { abi_list sql_type; abi_packed texts; } abi_others;
typedef struct {
    abi_list validity;
    struct {
        uint8_t tag; // th_kind - 1
        union {
            abi_list list;
            abi_decimals decimals;
            abi_packed packed;
            abi_moments moments;
            abi_others others;
        };
    } data;
} abi_column;
typedef struct { uint32_t column; abi_list rows; abi_column values; } abi_change;
typedef struct { abi_list verdicts, reasons, changes; } abi_answer;
typedef struct { abi_list table, reads, writes; } abi_table_use;
typedef struct {
    uint8_t tag; // th_kind
    union {
        bool boolean;
        int64_t integer;
        int32_t date;
        double number;
        struct { uint8_t scale; uint64_t low; int64_t high; } decimal;
        abi_list text;
        struct { int64_t utc; int16_t minutes; } moment;
        struct { abi_list sql_type, text; } other;
    };
} abi_value;
typedef struct { abi_list column; abi_value value; } abi_cell;
typedef struct { uint8_t is_there; abi_list values; } abi_side;
typedef struct { abi_list table, key, columns; abi_side sides[3]; } abi_conflict;
typedef struct { uint8_t tag; abi_list value; } abi_resolution;
// result<T, string>: T's lists follow each other.
typedef struct { uint8_t is_error; abi_list values[3]; } abi_result;

#ifdef __wasm32__
_Static_assert(sizeof(abi_column) == 36 && sizeof(abi_change) == 48, "columns lie as the contract says");
_Static_assert(sizeof(abi_value) == 32 && sizeof(abi_cell) == 40, "values lie as the contract says");
_Static_assert(sizeof(abi_conflict) == 60 && sizeof(abi_resolution) == 12, "conflicts lie as the contract says");
#define EXPORT(name) __attribute__((__export_name__(name)))
#else
#define EXPORT(name)
#endif

struct th_row {
    const char *table;
    const char *const *reads, *const *writes;
    const abi_column *columns;
    uint32_t at;
    struct written *written;
};
// What was set in one column of `writes`.
struct written {
    uint32_t *rows;
    th_value *values;
    uint32_t count;
};
struct th_conflict { const abi_conflict *given; };

// NULL, or why the whole batch or config cannot be worked with.
const char *th_config_error(th_text config);
const char *th_run_rule(const th_rule *, const th_context *, uint32_t rows, abi_list columns, abi_answer *);
const char *th_column_of(const th_value *, uint32_t count, abi_column *);
th_value th_cell_of(const abi_column *, uint32_t at);
th_value th_value_of(const abi_value *);
abi_value th_abi_value(th_value);
abi_resolution th_abi_resolution(th_resolution);
uint32_t th_count(const char *const *names);
abi_list th_abi_text(th_text);
th_text th_of_abi(abi_list);
abi_table_use th_table_use(const char *table, const char *const *reads, const char *const *writes);
const th_rule *th_find_rule(th_text table);
const th_decision *th_find_decision(th_text table);
void th_forget(void);

#endif
