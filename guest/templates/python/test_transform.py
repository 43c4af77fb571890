import unittest

from tillhold_sdk import refuse
from tillhold_sdk.testing import judge
from transform import tidy


class TidyTest(unittest.TestCase):
    def test_addresses_have_one_spelling(self):
        row = {"RECEIPTEMAIL": " Anna@Example.org"}
        self.assertEqual(judge(tidy, row).changes, {"RECEIPTEMAIL": "anna@example.org"})
        self.assertEqual(judge(tidy, row, flow="push").changes, {})
        self.assertEqual(judge(tidy, {"RECEIPTEMAIL": ""}).changes, {})

    def test_what_is_no_address_is_refused(self):
        judged = judge(tidy, {"RECEIPTEMAIL": "anna"})
        self.assertEqual(judged.verdict, refuse("RECEIPTEMAIL is no address"))
