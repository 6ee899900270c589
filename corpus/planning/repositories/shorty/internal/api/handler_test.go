package api

import (
	"net/http/httptest"
	"testing"

	"example.org/shorty/internal/store"
)

func TestUnknownSlug(t *testing.T) {
	links, _ := store.Open(t.TempDir() + "/l.json")
	w := httptest.NewRecorder()
	New(links).ServeHTTP(w, httptest.NewRequest("GET", "/nope", nil))
	if w.Code != 404 {
		t.Fatal(w.Code)
	}
}
