// Package e2e holds black-box scenarios: the real commands as processes of
// their own, a real registry, a real store, real machines. It knows the
// commands, the SDK and HTTP, and nothing of what is behind them.
package e2e
