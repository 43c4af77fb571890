// Write Tillhold plugins as plain functions over a row.
//
// * A rule reads the columns that it declared, changes those that it declared, and gives a verdict: th_keep(), th_drop()
//   or th_refuse("why"). A decision gets a conflict with its three sides; th_merge goes column by column.
// * There is no clock, no file, no network, no randomness, and no C library but what freestanding/string.h has.
// * Each batch gets a fresh instance: a static variable remembers nothing from batch to batch.
// * Memory comes from th_alloc and goes with the call; nothing is freed by hand, so nothing leaks.
// * th_fail refuses the batch; the profile says what then becomes of it. Selling goes on.
#ifndef TILLHOLD_H
#define TILLHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// UTF-8, or bytes: not ended by a zero. `at` is NULL for SQL's NULL, and for a column of another type.
typedef struct {
    const char *at;
    size_t size;
} th_text;

// An exact number: unscaled * 10^-scale, up to 38 digits.
typedef struct {
    __int128 unscaled;
    uint8_t scale;
} th_decimal;

// In the order of the contract's cases, after NULL.
typedef enum {
    TH_NULL,
    TH_BOOLEAN,
    TH_INTEGER,
    TH_FLOAT,
    TH_DECIMAL,
    TH_TEXT,
    TH_BINARY,
    TH_DATE,             // days since 1970-01-01, in `integer`
    TH_TIME,             // ticks of 100 ns since midnight, in `integer`
    TH_TIMESTAMP,        // ticks of 100 ns since 0001-01-01 00:00, in `integer`
    TH_OFFSET_TIMESTAMP, // the same in UTC, in `integer`, and minutes east of UTC
    TH_GUID,             // 16 bytes in `text`, in the order in which the text is read
    TH_OTHER,            // canonical text
} th_kind;

typedef struct {
    th_kind kind;
    bool boolean;
    int16_t offset_minutes;
    int64_t integer;
    double number;
    th_decimal decimal;
    th_text text;
    th_text sql_type;
} th_value;

typedef enum { TH_PULL, TH_PUSH } th_flow;

// Given with every batch.
typedef struct {
    th_flow flow;
    th_text scope, store, reg;
    int64_t time; // the batch's logical time, UTC, in ticks as TH_TIMESTAMP
    th_text config;
} th_context;

typedef struct th_row th_row;
typedef struct th_conflict th_conflict;

typedef struct {
    enum { TH_KEPT, TH_DROPPED, TH_REFUSED } verdict;
    th_text reason;
} th_verdict;

// One table's rule. The lists end with NULL; th_rules ends with an empty rule.
typedef struct {
    const char *table;
    const char *const *reads, *const *writes;
    th_verdict (*rule)(const th_context *, th_row *);
} th_rule;

typedef struct th_resolution th_resolution;

typedef struct {
    const char *table;
    const char *const *reads, *const *writes; // TH_EVERY: every column that travels
    th_resolution (*decide)(const th_context *, const th_conflict *);
} th_decision;

#define TH_COLUMNS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define TH_EVERY TH_COLUMNS("*")

// What a plugin defines: th_rules, th_decisions or both, and th_settings if its config is of lines `name=value`.
extern const th_rule th_rules[];
extern const th_decision th_decisions[];
extern const char *const th_settings[];

static inline th_verdict th_keep(void) { return (th_verdict){.verdict = TH_KEPT}; }
static inline th_verdict th_drop(void) { return (th_verdict){.verdict = TH_DROPPED}; }
// Never personal data.
th_verdict th_refuse(const char *reason);

// A row as it came, whatever has been set since. A column that is not declared under `reads` fails.
th_value th_read(const th_row *, const char *column);
th_text th_read_text(const th_row *, const char *column);
// False for NULL and for another type.
bool th_read_integer(const th_row *, const char *column, int64_t *integer);
bool th_read_decimal(const th_row *, const char *column, th_decimal *decimal);

// Changes a column that is declared under `writes`. The last word counts.
void th_set(th_row *, const char *column, th_value value);
void th_set_text(th_row *, const char *column, th_text text);
void th_set_integer(th_row *, const char *column, int64_t integer);
void th_set_decimal(th_row *, const char *column, th_decimal decimal);

// What the config says under `name`; `at` is NULL where it says nothing.
th_text th_setting(const th_context *, const char *name);
// As SQL Server compares: blind to case (of ASCII letters) and to blanks at the end.
bool th_is_own_store(const th_context *, th_text store);

// With `scale` decimals, half a unit away from zero, as SQL Server rounds. More than 128 bits fails.
th_decimal th_rounded(th_decimal, uint8_t scale);
int th_compare(th_decimal, th_decimal);

th_text th_string(const char *zero_ended);
bool th_equal(th_text, th_text);
bool th_equal_names(const char *, th_text);
// The part from `from` to before `to`.
th_text th_cut(th_text, size_t from, size_t to);
// Where the byte is, or the text's size.
size_t th_find(th_text, char byte);
// Without the blanks at both ends; with small ASCII letters; the first letter, however many bytes it has.
th_text th_trimmed(th_text);
th_text th_lower(th_text);
th_text th_first_letter(th_text);
// End to end: th_joined(3, one, two, three).
th_text th_joined(int count, ...);

// Memory of this call.
void *th_alloc(size_t size);
// Says `why` to the operator and stops the batch.
_Noreturn void th_fail(const char *why, const char *what);
// Lines for the operator, at most 100 a batch; never personal data.
void th_info(th_text line);
void th_warning(th_text line);

// Who wins a column that both sides changed; TH_LATER is the greater of the two, a person where there is no order.
typedef enum { TH_CHANNEL, TH_OFFLINE, TH_LATER, TH_PERSON } th_winner;
typedef enum { TH_BASE_SIDE, TH_CHANNEL_SIDE, TH_OFFLINE_SIDE } th_side;

typedef struct {
    th_text column;
    th_value value;
} th_cell;

struct th_resolution {
    enum { TH_TAKE_CHANNEL, TH_TAKE_OFFLINE, TH_MERGED, TH_DEFERRED } answer;
    th_cell *cells;
    size_t count;
    th_text reason;
};

th_text th_conflict_table(const th_conflict *);
bool th_side_exists(const th_conflict *, th_side);
// A side without the row fails, as a column that is not declared.
th_value th_side_value(const th_conflict *, th_side, const char *column);
// Column by column: what one side changed is taken; for what both changed `winner` is asked. Waits for a person when one
// of the sides is gone, or when a column is left to a person.
th_resolution th_merge(const th_conflict *, th_winner (*winner)(th_text column));
th_resolution th_take_channel(void);
th_resolution th_take_offline(void);
// The channel's row with these cells, for both sides.
th_resolution th_merged(th_cell *cells, size_t count);
th_resolution th_defer(const char *reason);
// Whether two cells are the same; -1, 0 or 1, and 2 where there is no order.
bool th_same(th_value, th_value);
int th_order(th_value, th_value);

#endif
