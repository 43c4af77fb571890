// Rules under test, on the author's own machine, without WebAssembly and without a database. The same code runs as in
// production, from the columns that come in to the answer that goes out.
#ifndef TILLHOLD_TESTING_H
#define TILLHOLD_TESTING_H

#include "tillhold.h"

// A pull for register 000001 of store S0001, with an empty config.
th_context th_test_context(void);

// A cell by its column's name; end a list with th_no_cell().
th_cell th_test_text(const char *column, const char *text);
th_cell th_test_cell(const char *column, th_value value);
th_cell th_no_cell(void);
#define TH_CELLS(...) ((const th_cell[]){__VA_ARGS__, th_no_cell()})

typedef struct {
    th_verdict verdict;
    th_cell changes[64];
    size_t count;
} th_judged;

// One row through the table's rule.
th_judged th_judge(const char *table, th_context context, const th_cell *row);
// What a column was changed to; of the kind TH_NULL, too, when it was not: th_is_changed tells.
th_value th_changed(const th_judged *, const char *column);
bool th_is_changed(const th_judged *, const char *column);

// One conflict through the table's decision: `row` gives every column its value before; each side is the cells that
// differ, or NULL for a side without the row.
th_resolution th_decide(
    const char *table, th_context context, const th_cell *row, const th_cell *channel, const th_cell *offline);

// Stops the test with the place where it stands.
#define TH_CHECK(condition) th_check(condition, #condition, __FILE__, __LINE__)
void th_check(bool holds, const char *what, const char *file, int line);

#endif
