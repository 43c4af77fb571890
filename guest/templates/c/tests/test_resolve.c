#include "sdk/testing.h"

int main(void) {
    th_resolution decided = th_decide(
        "ax.RETAILCUSTTABLE", th_test_context(), TH_CELLS(th_test_text("RECEIPTEMAIL", "old@example.org")),
        TH_CELLS(th_test_text("RECEIPTEMAIL", "office@example.org")),
        TH_CELLS(th_test_text("RECEIPTEMAIL", "till@example.org")));
    TH_CHECK(decided.answer == TH_MERGED && decided.count == 1);
    TH_CHECK(th_equal(decided.cells[0].value.text, th_string("till@example.org")));
    return 0;
}
