import wordlist

assert wordlist.FIRST == "hello"
