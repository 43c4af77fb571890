import unittest

from resolve import receipt_wishes
from tillhold_sdk import merge
from tillhold_sdk.testing import decide


class ReceiptWishesTest(unittest.TestCase):
    def test_the_till_knows_the_address(self):
        decided = decide(
            receipt_wishes,
            {"RECEIPTEMAIL": "old@example.org"},
            channel={"RECEIPTEMAIL": "office@example.org"},
            offline={"RECEIPTEMAIL": "till@example.org"},
        )
        self.assertEqual(decided, merge({"RECEIPTEMAIL": "till@example.org"}))
