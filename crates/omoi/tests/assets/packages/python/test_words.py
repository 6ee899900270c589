import subprocess
import unittest

from words import first


class WordsTest(unittest.TestCase):
    def test_the_first_word_is_a_greeting(self):
        self.assertEqual(first(), "hello")

    def test_the_program_of_the_package_says_it(self):
        said = subprocess.run(["wordlist"], capture_output=True, check=True, text=True)
        self.assertEqual(said.stdout, "hello\n")
