// Command beacon asks addresses whether they answer.
package main

import (
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	"example.org/beacon/internal/probe"
	"example.org/beacon/internal/web"
)

func main() {
	listen := flag.String("listen", ":8080", "address to serve on")
	every := flag.Duration("every", 30*time.Second, "pause between two rounds")
	timeout := flag.Duration("timeout", 5*time.Second, "longest wait for one answer")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	board := probe.NewBoard(flag.Args())
	checker := probe.Checker{Client: &http.Client{Timeout: *timeout}, Now: time.Now}
	go func() {
		for {
			checker.Round(board)
			time.Sleep(*every)
		}
	}()
	log.Fatal(http.ListenAndServe(*listen, web.Handler(board)))
}
