# What people and CI run. Tools are pinned in tools/go.mod.
TOOL = go tool -modfile=tools/go.mod
FUZZTIME = 10s

.PHONY: build test check fuzz bench microbench demo update-golden

build: ## bin/broadside
	go build -o bin/broadside ./cmd/broadside
test: ## every test; needs redis-server, postfix, sasl2-bin (.ci/run installs them), and root for Postfix
	go test -race -p 2 -timeout 12m $$(go list ./... | grep -v internal/e2e)
	go test -timeout 12m ./internal/e2e # alone: it measures rates, with real processes
check: ## formatting, vet, staticcheck
	test -z "$$($(TOOL) gofumpt -l . | tee /dev/stderr)" && go vet ./... && $(TOOL) staticcheck ./...
fuzz: ## every fuzz target for FUZZTIME
	set -e; for p in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n 1 dirname | sort -u); do for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$p/*_test.go | cut -c 6-); do go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; done; done
bench: ## this machine beside smtp-source; docs/performance.md says how to read it
	go run ./cmd/broadside bench
microbench: ## every benchmark of a single step
	go test -run '^$$' -bench . -benchmem ./...
demo: ## 1,000 recipients to a built-in sink; needs nothing
	go run ./cmd/broadside demo
update-golden: ## rewrite the files that tests compare with; review the diff
	grep -rlE --include='*_test.go' 'flag.Bool\("update"' . | xargs -r -n 1 dirname | sort -u | xargs -r -I{} go test {} -update
