// Rows on their way: addresses for receipts come to the register in one spelling.

#include "../sdk/tillhold.h"

static th_verdict tidy(const th_context *context, th_row *row) {
    if (context->flow == TH_PUSH) return th_keep();
    th_text address = th_read_text(row, "RECEIPTEMAIL");
    th_text tidied = th_lower(th_trimmed(address));
    if (tidied.size && th_find(tidied, '@') == tidied.size) return th_refuse("RECEIPTEMAIL is no address");
    if (!th_equal(tidied, address)) th_set_text(row, "RECEIPTEMAIL", tidied);
    return th_keep();
}

const th_rule th_rules[] = {
    {"ax.RETAILCUSTTABLE", TH_COLUMNS("RECEIPTEMAIL"), TH_COLUMNS("RECEIPTEMAIL"), tidy},
    {0},
};
