// The contract's interface `transform`.

#include "abi.h"

const th_rule *th_find_rule(th_text table) {
    for (const th_rule *rule = th_rules; rule->table; rule++)
        if (th_equal_names(rule->table, table)) return rule;
    return NULL;
}

static abi_result *refused(const char *why) {
    abi_result *result = th_alloc(sizeof *result);
    result->is_error = 1;
    result->values[0] = th_abi_text(th_string(why));
    return result;
}

EXPORT("tillhold:plugin/transform@0.1.0#describe")
abi_result *th_transform_describe(char *config, uint32_t size) {
    const char *wrong = th_config_error((th_text){config, size});
    if (wrong) return refused(wrong);
    uint32_t count = 0;
    while (th_rules[count].table) count++;
    abi_table_use *used = th_alloc(count * sizeof *used + 1);
    for (uint32_t at = 0; at < count; at++)
        used[at] = th_table_use(th_rules[at].table, th_rules[at].reads, th_rules[at].writes);
    abi_result *result = th_alloc(sizeof *result);
    result->values[0] = (abi_list){used, count};
    return result;
}

EXPORT("tillhold:plugin/transform@0.1.0#transform")
abi_result *th_transform(
    char *config, uint32_t config_size, int32_t flow, char *scope, uint32_t scope_size, char *store,
    uint32_t store_size, char *reg, uint32_t reg_size, int64_t time, char *table, uint32_t table_size, uint32_t rows,
    abi_column *columns, uint32_t column_count) {
    th_context context = {(th_flow)flow, {scope, scope_size}, {store, store_size}, {reg, reg_size}, time,
                          {config, config_size}};
    const th_rule *rule = th_find_rule((th_text){table, table_size});
    if (!rule) return refused("there is no rule for the table");
    abi_answer answer = {0};
    const char *wrong = th_run_rule(rule, &context, rows, (abi_list){columns, column_count}, &answer);
    if (wrong) return refused(wrong);
    abi_result *result = th_alloc(sizeof *result);
    result->values[0] = answer.verdicts;
    result->values[1] = answer.reasons;
    result->values[2] = answer.changes;
    return result;
}
