import unittest

from greet import greet


class GreetTest(unittest.TestCase):
    def test_the_name_is_in_it(self):
        self.assertEqual(greet("Ann"), "Hello, Ann.")
