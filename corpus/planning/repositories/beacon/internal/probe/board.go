package probe

import "sync"

// Board holds the last result of every target.
type Board struct {
	mu      sync.RWMutex
	targets []string
	results map[string]Result
}

// NewBoard returns a board without results.
func NewBoard(targets []string) *Board {
	return &Board{targets: targets, results: make(map[string]Result)}
}

// Targets returns the addresses in the order given.
func (b *Board) Targets() []string {
	return append([]string(nil), b.targets...)
}

// Record stores the last result of a target.
func (b *Board) Record(result Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.results[result.Target] = result
}

// Snapshot returns the results known so far, in the order of the targets.
func (b *Board) Snapshot() []Result {
	b.mu.RLock()
	defer b.mu.RUnlock()
	found := make([]Result, 0, len(b.targets))
	for _, target := range b.targets {
		if result, ok := b.results[target]; ok {
			found = append(found, result)
		}
	}
	return found
}
