package probe

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func answering(status int) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
	}))
}

func TestCheckTellsUpFromDown(t *testing.T) {
	checker := Checker{Client: http.DefaultClient, Now: time.Now}
	for status, up := range map[int]bool{200: true, 404: true, 503: false} {
		server := answering(status)
		if result := checker.Check(server.URL); result.Up != up {
			t.Errorf("status %d: up = %v", status, result.Up)
		}
		server.Close()
	}
}

func TestRoundRecordsEveryTarget(t *testing.T) {
	server := answering(200)
	defer server.Close()
	board := NewBoard([]string{server.URL, "http://127.0.0.1:1"})
	Checker{Client: http.DefaultClient, Now: time.Now}.Round(board)
	if got := len(board.Snapshot()); got != 2 {
		t.Fatalf("%d results", got)
	}
}
