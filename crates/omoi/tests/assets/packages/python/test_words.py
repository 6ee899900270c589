import unittest

from words import first


class WordsTest(unittest.TestCase):
    def test_the_first_word_is_a_greeting(self):
        self.assertEqual(first(), "hello")
