// Package api answers HTTP requests.
package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"example.org/shorty/internal/slug"
	"example.org/shorty/internal/store"
)

type createRequest struct {
	URL string `json:"url"`
}

// New returns the handler of all routes.
func New(links *store.Store) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/links", func(w http.ResponseWriter, r *http.Request) { create(w, r, links) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { redirect(w, r, links) })
	return mux
}

func create(w http.ResponseWriter, r *http.Request, links *store.Store) {
	var body createRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.URL == "" {
		http.Error(w, "url is missing", http.StatusBadRequest)
		return
	}
	link := store.Link{Slug: slug.Random(6), URL: body.URL}
	if err := links.Put(link); err != nil {
		http.Error(w, "could not save", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(link)
}

func redirect(w http.ResponseWriter, r *http.Request, links *store.Store) {
	link, err := links.Get(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	http.Redirect(w, r, link.URL, http.StatusFound)
}
