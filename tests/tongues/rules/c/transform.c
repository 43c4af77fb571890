// The rule that every language writes: addresses masked, other stores' sales left out, amounts in whole cents.

#include "../sdk/tillhold.h"

static th_verdict sales(const th_context *context, th_row *row) {
    if (!th_is_own_store(context, th_read_text(row, "STORE"))) return th_drop();
    th_text address = th_read_text(row, "RECEIPTEMAIL");
    if (address.size) {
        size_t at = th_find(address, '@');
        if (at == 0 || at == address.size) return th_refuse("RECEIPTEMAIL is no address");
        th_text domain = th_cut(address, at, address.size);
        th_set_text(row, "RECEIPTEMAIL", th_joined(3, th_first_letter(address), th_string("***"), domain));
    }
    th_decimal amount;
    if (th_read_decimal(row, "GROSSAMOUNT", &amount)) {
        th_decimal cents = th_rounded(amount, 2);
        if (th_compare(cents, amount) != 0) th_set_decimal(row, "GROSSAMOUNT", cents);
    }
    return th_keep();
}

static const char *const shapes[] = {
    "BIT", "BIG", "FLT", "DEC", "TXT", "BIN", "DAY", "TIM", "AT", "OFFS", "GUID", NULL,
};
static const char *const copies[] = {
    "BIT2", "BIG2", "FLT2", "DEC2", "TXT2", "BIN2", "DAY2", "TIM2", "AT2", "OFFS2", "GUID2", NULL,
};

// Every shape of value goes in and comes out whole.
static th_verdict copied(const th_context *context, th_row *row) {
    (void)context;
    for (int at = 0; shapes[at]; at++) th_set(row, copies[at], th_read(row, shapes[at]));
    return th_keep();
}

const th_rule th_rules[] = {
    {"ax.RETAILTRANSACTIONTABLE", TH_COLUMNS("STORE", "RECEIPTEMAIL", "GROSSAMOUNT"),
     TH_COLUMNS("RECEIPTEMAIL", "GROSSAMOUNT"), sales},
    {"ax.SHAPES", shapes, copies, copied},
    {0},
};
