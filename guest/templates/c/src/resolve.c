// Rows that both sides changed: what the customer said at the till counts.

#include "../sdk/tillhold.h"

// What only one side changed is taken anyway; this is asked for what both changed.
static th_winner winner(th_text column) {
    if (th_equal_names("RECEIPTEMAIL", column) || th_equal_names("RECEIPTOPTION", column)) return TH_OFFLINE;
    return th_equal_names("MODIFIEDDATETIME", column) ? TH_LATER : TH_PERSON;
}

static th_resolution receipt_wishes(const th_context *context, const th_conflict *conflict) {
    (void)context;
    return th_merge(conflict, winner);
}

const th_decision th_decisions[] = {
    {"ax.RETAILCUSTTABLE", TH_EVERY, TH_EVERY, receipt_wishes},
    {0},
};
