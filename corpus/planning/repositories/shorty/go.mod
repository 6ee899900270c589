module example.org/shorty

go 1.22
