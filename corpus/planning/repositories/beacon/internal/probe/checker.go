// Package probe asks targets and keeps what they answered.
package probe

import (
	"net/http"
	"time"
)

// Result is what came of one question.
type Result struct {
	Target string    `json:"target"`
	Up     bool      `json:"up"`
	Status int       `json:"status,omitempty"`
	Error  string    `json:"error,omitempty"`
	At     time.Time `json:"at"`
}

// Checker asks targets over HTTP.
type Checker struct {
	Client *http.Client
	Now    func() time.Time
}

// Check asks one target; any status below 500 counts as up.
func (c Checker) Check(target string) Result {
	result := Result{Target: target, At: c.Now()}
	response, err := c.Client.Get(target)
	if err != nil {
		result.Error = err.Error()
		return result
	}
	defer response.Body.Close()
	result.Status = response.StatusCode
	result.Up = response.StatusCode < http.StatusInternalServerError
	return result
}

// Round asks every target once, one after the other.
func (c Checker) Round(board *Board) {
	for _, target := range board.Targets() {
		board.Record(c.Check(target))
	}
}
