package main

import (
	"flag"
	"log"
	"net/http"

	"example.org/shorty/internal/api"
	"example.org/shorty/internal/store"
)

func main() {
	addr := flag.String("addr", ":8080", "address to listen on")
	data := flag.String("data", "links.json", "file of links")
	flag.Parse()
	links, err := store.Open(*data)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(*addr, api.New(links)))
}
