package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.org/beacon/internal/probe"
)

func TestStatusListsResults(t *testing.T) {
	board := probe.NewBoard([]string{"http://a"})
	board.Record(probe.Result{Target: "http://a", Up: true, Status: 200})
	answer := httptest.NewRecorder()
	Handler(board).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/status", nil))
	if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), `"target":"http://a"`) {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
}
