# What people and CI run. Tools are pinned in tools/checks.mod.
TOOL = go tool -modfile=tools/checks.mod
FUZZTIME = 10s
# Of chaos: which list of faults, how long, and how many campaigns at a time.
SEED = 1
FAULTS = 200
PEOPLE = 2000
PARALLEL = 12

.PHONY: build quick test check chaos chaos-long fuzz bench microbench demo update-golden

build: ## bin/broadside
	go build -o bin/broadside ./cmd/broadside
quick: ## while working: what needs no server but ours, without the race detector; less than a minute
	go test -short $$(go list ./... | grep -v internal/e2e)
	@echo "Left out: tests that start redis-server, an SMTP server or Postfix, and internal/e2e. make test runs them."
test: ## every test; needs redis-server, postfix, sasl2-bin and what .ci/mta unpacks (.ci/run sees to it), and root for Postfix
	go test -race -p 2 -timeout 12m $$(go list ./... | grep -v internal/e2e)
	go test -tags faults ./internal/failpoint
	go test -timeout 25m -parallel 4 ./internal/e2e -args -chaos.people=$(PEOPLE) -chaos.parallel=$(PARALLEL) # alone: it measures rates, with real processes
check: ## formatting, vet, staticcheck
	test -z "$$($(TOOL) gofumpt -l . | tee /dev/stderr)" && go vet ./... && $(TOOL) staticcheck ./...
chaos: ## FAULTS faults in as many campaigns (docs/reliability.md); -chaos.only 17 runs one of them again
	go test ./internal/e2e -run '^TestChaos$$' -count=1 -v -timeout 60m -args -chaos.faults=$(FAULTS) -chaos.seed=$(SEED) -chaos.people=$(PEOPLE) -chaos.parallel=$(PARALLEL)
chaos-long: ## a million recipients, and something is ended every 20 s; ten minutes at most
	go test ./internal/e2e -run '^TestChaos$$' -count=1 -v -timeout 15m -args -chaos.seed=$(SEED) -chaos.long=1000000
fuzz: ## every fuzz target for FUZZTIME
	set -e; for p in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n 1 dirname | sort -u); do for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$p/*_test.go | cut -c 6-); do go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; done; done
bench: ## the standard set, into docs/performance.md and its plots; some five minutes on a machine that does nothing else
	go run ./tools/benchset -write docs/performance.md standard
microbench: ## every benchmark of a single step
	go test -run '^$$' -bench . -benchmem ./...
demo: ## 1,000 recipients to a built-in sink; needs nothing
	go run ./cmd/broadside demo
update-golden: ## rewrite the files that tests compare with; review the diff
	grep -rlE --include='*_test.go' 'flag.Bool\("update"' . | xargs -r -n 1 dirname | sort -u | xargs -r -I{} go test {} -update
