package a
import "fmt"
type T struct { A int `json:"a"` }
func (t *T) Run(a ...int) (err error) { defer func() {}(); return nil }
