// Package web shows a board over HTTP.
package web

import (
	"encoding/json"
	"net/http"

	"example.org/beacon/internal/probe"
)

// Handler serves the board.
func Handler(board *probe.Board) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
	})
	mux.HandleFunc("/status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(board.Snapshot())
	})
	return mux
}
