// Compiled into tests alone, never into the component.

#include "testing.h"
#include "abi.h"
#include <stdio.h>
#include <stdlib.h>

// A plugin of one kind has nothing of the other.
__attribute__((weak)) const th_rule th_rules[] = {{0}};
__attribute__((weak)) const th_decision th_decisions[] = {{0}};

void th_check(bool holds, const char *what, const char *file, int line) {
    if (holds) return;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    exit(1);
}

th_context th_test_context(void) {
    return (th_context){TH_PULL, th_string("test"), th_string("S0001"), th_string("000001"), 0, th_string("")};
}

th_cell th_test_cell(const char *column, th_value value) { return (th_cell){th_string(column), value}; }

th_cell th_test_text(const char *column, const char *text) {
    return th_test_cell(column, (th_value){.kind = TH_TEXT, .text = th_string(text)});
}

th_cell th_no_cell(void) { return (th_cell){{NULL, 0}, {.kind = TH_NULL}}; }

static const th_cell *cell_of(const th_cell *cells, th_text name) {
    for (; cells && cells->column.at; cells++)
        if (th_equal_names(cells->column.at, name)) return cells;
    return NULL;
}

th_judged th_judge(const char *table, th_context context, const th_cell *row) {
    const th_rule *rule = th_find_rule(th_string(table));
    if (!rule) th_fail(table, "has no rule");
    uint32_t reads = th_count(rule->reads);
    abi_column *columns = th_alloc(reads * sizeof *columns + 1);
    for (uint32_t at = 0; at < reads; at++) {
        const th_cell *cell = cell_of(row, th_string(rule->reads[at]));
        if (!cell) th_fail(rule->reads[at], "give the row a value for it");
        th_column_of(&cell->value, 1, &columns[at]);
    }
    abi_answer answer = {0};
    const char *wrong = th_run_rule(rule, &context, 1, (abi_list){columns, reads}, &answer);
    if (wrong) th_fail(table, wrong);
    th_judged judged = {.verdict.verdict = ((uint8_t *)answer.verdicts.at)[0], .count = answer.changes.count};
    if (answer.reasons.count) judged.verdict.reason = th_of_abi(((abi_list *)answer.reasons.at)[0]);
    for (size_t at = 0; at < judged.count && at < 64; at++) {
        const abi_change *change = (const abi_change *)answer.changes.at + at;
        judged.changes[at] = th_test_cell(rule->writes[change->column], th_cell_of(&change->values, 0));
    }
    return judged;
}

static const th_cell *change_of(const th_judged *judged, const char *column) {
    for (size_t at = 0; at < judged->count; at++)
        if (th_equal_names(column, judged->changes[at].column)) return &judged->changes[at];
    return NULL;
}

bool th_is_changed(const th_judged *judged, const char *column) { return change_of(judged, column) != NULL; }

th_value th_changed(const th_judged *judged, const char *column) {
    const th_cell *change = change_of(judged, column);
    return change ? change->value : (th_value){.kind = TH_NULL};
}

static abi_side side_of(const th_cell *row, const th_cell *changes, uint32_t count) {
    abi_value *values = th_alloc(count * sizeof *values + 1);
    for (uint32_t at = 0; at < count; at++) {
        const th_cell *changed = cell_of(changes, row[at].column);
        values[at] = th_abi_value(changed ? changed->value : row[at].value);
    }
    return (abi_side){1, {values, count}};
}

th_resolution th_decide(
    const char *table, th_context context, const th_cell *row, const th_cell *channel, const th_cell *offline) {
    const th_decision *decision = th_find_decision(th_string(table));
    if (!decision) th_fail(table, "has no decision");
    uint32_t count = 0;
    while (row[count].column.at) count++;
    abi_list *names = th_alloc(count * sizeof *names + 1);
    for (uint32_t at = 0; at < count; at++) names[at] = th_abi_text(row[at].column);
    abi_conflict given = {.table = th_abi_text(th_string(table)), .columns = {names, count}};
    given.sides[TH_BASE_SIDE] = side_of(row, NULL, count);
    if (channel) given.sides[TH_CHANNEL_SIDE] = side_of(row, channel, count);
    if (offline) given.sides[TH_OFFLINE_SIDE] = side_of(row, offline, count);
    return decision->decide(&context, &(th_conflict){&given});
}
