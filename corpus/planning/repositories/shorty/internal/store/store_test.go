package store

import "testing"

func TestPutGet(t *testing.T) {
	s, err := Open(t.TempDir() + "/links.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(Link{Slug: "a", URL: "https://go.dev"}); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Get("a"); got.URL != "https://go.dev" {
		t.Errorf("got %v", got)
	}
}
