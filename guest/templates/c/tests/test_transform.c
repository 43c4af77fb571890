#include "sdk/testing.h"

static th_judged judge(th_flow flow, const char *address) {
    th_context context = th_test_context();
    context.flow = flow;
    return th_judge("ax.RETAILCUSTTABLE", context, TH_CELLS(th_test_text("RECEIPTEMAIL", address)));
}

int main(void) {
    th_judged tidied = judge(TH_PULL, " Anna@Example.org");
    TH_CHECK(th_equal(th_changed(&tidied, "RECEIPTEMAIL").text, th_string("anna@example.org")));
    th_judged empty = judge(TH_PULL, "");
    TH_CHECK(empty.count == 0);
    th_judged pushed = judge(TH_PUSH, " Anna@Example.org");
    TH_CHECK(pushed.count == 0);
    th_judged refused = judge(TH_PULL, "anna");
    TH_CHECK(refused.verdict.verdict == TH_REFUSED);
    TH_CHECK(th_equal(refused.verdict.reason, th_string("RECEIPTEMAIL is no address")));
    return 0;
}
