// Rules over rows, and the config.

#include "abi.h"

uint32_t th_count(const char *const *names) {
    uint32_t count = 0;
    while (names && names[count]) count++;
    return count;
}

static int place(const char *const *names, const char *name) {
    for (int at = 0; names && names[at]; at++)
        if (names[at] == name || th_equal_names(names[at], th_string(name))) return at;
    return -1;
}

th_value th_read(const th_row *row, const char *column) {
    int at = place(row->reads, column);
    if (at < 0) th_fail(column, "is not declared under reads");
    return th_cell_of(&row->columns[at], row->at);
}

th_text th_read_text(const th_row *row, const char *column) {
    th_value cell = th_read(row, column);
    return cell.kind == TH_TEXT ? cell.text : (th_text){NULL, 0};
}

bool th_read_integer(const th_row *row, const char *column, int64_t *integer) {
    th_value cell = th_read(row, column);
    if (cell.kind == TH_INTEGER) *integer = cell.integer;
    return cell.kind == TH_INTEGER;
}

bool th_read_decimal(const th_row *row, const char *column, th_decimal *decimal) {
    th_value cell = th_read(row, column);
    if (cell.kind == TH_DECIMAL) *decimal = cell.decimal;
    return cell.kind == TH_DECIMAL;
}

void th_set(th_row *row, const char *column, th_value value) {
    int at = place(row->writes, column);
    if (at < 0) th_fail(column, "is not declared under writes");
    struct written *written = &row->written[at];
    if (!written->count || written->rows[written->count - 1] != row->at) written->rows[written->count++] = row->at;
    written->values[written->count - 1] = value;
}

void th_set_text(th_row *row, const char *column, th_text text) {
    th_set(row, column, (th_value){.kind = text.at ? TH_TEXT : TH_NULL, .text = text});
}

void th_set_integer(th_row *row, const char *column, int64_t integer) {
    th_set(row, column, (th_value){.kind = TH_INTEGER, .integer = integer});
}

void th_set_decimal(th_row *row, const char *column, th_decimal decimal) {
    th_set(row, column, (th_value){.kind = TH_DECIMAL, .decimal = decimal});
}

th_verdict th_refuse(const char *reason) {
    return (th_verdict){.verdict = TH_REFUSED, .reason = th_string(reason)};
}

static void forget_row(th_row *row, uint32_t writes) {
    for (uint32_t at = 0; at < writes; at++) {
        struct written *written = &row->written[at];
        if (written->count && written->rows[written->count - 1] == row->at) written->count--;
    }
}

// Only columns in which something changed.
static const char *changes(const th_row *row, uint32_t writes, abi_list *list) {
    abi_change *changed = th_alloc(writes * sizeof *changed + 1);
    *list = (abi_list){changed, 0};
    for (uint32_t at = 0; at < writes; at++) {
        const struct written *written = &row->written[at];
        if (!written->count) continue;
        abi_change *change = &changed[list->count++];
        change->column = at;
        change->rows = (abi_list){written->rows, written->count};
        const char *wrong = th_column_of(written->values, written->count, &change->values);
        if (wrong) return wrong;
    }
    return NULL;
}

const char *th_run_rule(
    const th_rule *rule, const th_context *context, uint32_t rows, abi_list columns, abi_answer *answer) {
    uint32_t writes = th_count(rule->writes);
    if (columns.count != th_count(rule->reads)) return "not the columns that were declared";
    th_row row = {rule->table, rule->reads, rule->writes, columns.at, 0, th_alloc(writes * sizeof *row.written + 1)};
    for (uint32_t at = 0; at < writes; at++) {
        row.written[at].rows = th_alloc(rows * sizeof(uint32_t) + 1);
        row.written[at].values = th_alloc(rows * sizeof(th_value) + 1);
    }
    uint8_t *verdicts = th_alloc(rows + 1);
    abi_list *reasons = th_alloc(rows * sizeof *reasons + 1);
    uint32_t refused = 0;
    for (; row.at < rows; row.at++) {
        th_verdict said = rule->rule(context, &row);
        verdicts[row.at] = (uint8_t)said.verdict;
        if (said.verdict != TH_KEPT) forget_row(&row, writes);
        if (said.verdict == TH_REFUSED) reasons[refused++] = th_abi_text(said.reason);
    }
    answer->verdicts = (abi_list){verdicts, rows};
    answer->reasons = (abi_list){reasons, refused};
    return changes(&row, writes, &answer->changes);
}

__attribute__((weak)) const char *const th_settings[] = {NULL};

// The next line of a config: `;` may stand for its end, `#` opens a comment.
static bool next_line(th_text *config, th_text *name, th_text *value, bool *is_set) {
    while (config->size) {
        size_t end = 0;
        while (end < config->size && config->at[end] != '\n' && config->at[end] != ';') end++;
        th_text line = th_cut(*config, 0, end);
        *config = th_cut(*config, end + 1, config->size);
        line = th_trimmed(th_cut(line, 0, th_find(line, '#')));
        if (!line.size) continue;
        size_t at = th_find(line, '=');
        *is_set = at < line.size;
        *name = th_trimmed(th_cut(line, 0, at));
        *value = th_trimmed(th_cut(line, at + 1, line.size));
        return true;
    }
    return false;
}

static const char *zero_ended(th_text text) { return th_joined(1, text).at; }

const char *th_config_error(th_text config) {
    if (!th_settings[0]) return NULL;
    th_text rest = config, name, value;
    bool is_set;
    while (next_line(&rest, &name, &value, &is_set)) {
        if (!is_set) return zero_ended(th_joined(3, th_string("'"), name, th_string("' is not name=value")));
        bool known = false;
        for (size_t at = 0; th_settings[at]; at++) known = known || th_equal(th_string(th_settings[at]), name);
        if (!known) return zero_ended(th_joined(3, th_string("there is no setting '"), name, th_string("'")));
        th_text later = rest, other, ignored;
        while (next_line(&later, &other, &ignored, &is_set))
            if (th_equal(name, other)) return zero_ended(th_joined(3, th_string("'"), name, th_string("' is set twice")));
    }
    return NULL;
}

th_text th_setting(const th_context *context, const char *wanted) {
    th_text rest = context->config, name, value;
    bool is_set;
    while (th_settings[0] && next_line(&rest, &name, &value, &is_set))
        if (th_equal(name, th_string(wanted))) return value;
    return (th_text){NULL, 0};
}

abi_table_use th_table_use(const char *table, const char *const *reads, const char *const *writes) {
    const char *const *names[2] = {reads, writes};
    abi_list lists[2];
    for (int which = 0; which < 2; which++) {
        uint32_t count = th_count(names[which]);
        abi_list *texts = th_alloc(count * sizeof *texts + 1);
        for (uint32_t at = 0; at < count; at++) texts[at] = th_abi_text(th_string(names[which][at]));
        lists[which] = (abi_list){texts, count};
    }
    return (abi_table_use){th_abi_text(th_string(table)), lists[0], lists[1]};
}
