// Package store keeps links in memory and in a JSON file.
package store

import (
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"
)

// ErrNotFound is returned for a slug that is not known.
var ErrNotFound = errors.New("link not found")

// Link is one shortened address.
type Link struct {
	Slug    string    `json:"slug"`
	URL     string    `json:"url"`
	Created time.Time `json:"created"`
}

// Store holds all links behind one mutex.
type Store struct {
	mu    sync.Mutex
	path  string
	links map[string]Link
}

// Open reads the file at path, which may be missing.
func Open(path string) (*Store, error) {
	s := &Store{path: path, links: map[string]Link{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	return s, json.Unmarshal(data, &s.links)
}

// Get looks a slug up.
func (s *Store) Get(slug string) (Link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	link, ok := s.links[slug]
	if !ok {
		return Link{}, ErrNotFound
	}
	return link, nil
}

// Put adds a link and saves the file.
func (s *Store) Put(link Link) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links[link.Slug] = link
	return s.save()
}

func (s *Store) save() error {
	data, err := json.Marshal(s.links)
	if err != nil {
		return err
	}
	return os.WriteFile(s.path, data, 0o644)
}
