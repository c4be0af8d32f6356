package queue

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

func bulkPrefix(namespace string) string { return namespace + "-bulk-" }

// Name returns the first queue of bulk mail of a namespace.
func Name(namespace string) string { return bulkName(namespace, 0) }

func bulkName(namespace string, shard int) string {
	return bulkPrefix(namespace) + strconv.Itoa(shard)
}

// highName returns the queue of runs of high priority.
func highName(namespace string) string { return namespace + "-high" }

// bulkNames returns the queues of bulk mail.
func bulkNames(namespace string, shards int) []string {
	names := make([]string, max(1, shards))
	for i := range names {
		names[i] = bulkName(namespace, i)
	}
	return names
}

// hashOf returns what stands for a run in names.
func hashOf(run string) uint32 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, run) // a hash takes everything
	return h.Sum32()
}

// known returns all queues of the runs of a namespace that have ever been used, and those
// that are served anyway.
func known(ctx context.Context, rdb redis.UniversalClient, namespace string) ([]string, error) {
	all, err := list(ctx, rdb)
	if err != nil {
		return nil, err
	}
	names := []string{highName(namespace), Name(namespace)}
	for _, name := range all {
		shard, isBulk := strings.CutPrefix(name, bulkPrefix(namespace))
		if _, err := strconv.Atoi(shard); isBulk && err == nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// list returns all queues that have ever been used, those of other namespaces too.
func list(ctx context.Context, rdb redis.UniversalClient) ([]string, error) {
	names, err := rdb.SMembers(ctx, "asynq:queues").Result()
	if err != nil {
		return nil, fmt.Errorf("list the queues: %w", err)
	}
	return names, nil
}

// key returns a key of asynq's for a queue.
func key(queue, rest string) string { return "asynq:{" + queue + "}:" + rest }

// leftOver returns the queues that are not among names and in which tasks wait: there
// were more shards before. Without an answer there are none: what waits in them is issued
// again.
func leftOver(ctx context.Context, rdb redis.UniversalClient, namespace string, names []string) (left []string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	all, err := known(ctx, rdb, namespace)
	if err != nil {
		return nil
	}
	for _, name := range all {
		if slices.Contains(names, name) {
			continue
		}
		if n, err := rdb.LLen(ctx, key(name, "pending")).Result(); err == nil && n > 0 {
			left = append(left, name)
		}
	}
	return left
}
