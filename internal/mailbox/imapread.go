package mailbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/emersion/go-imap/v2"
)

// QuarantineFolder takes messages that cannot be used.
const QuarantineFolder = "Broadside-Quarantine"

const (
	// maxPoll is how many messages one look into a mailbox reads.
	maxPoll = 1000
	// markEvery is how many messages are marked with one command: as many may come
	// again when the connection is cut.
	markEvery = 50
)

// poll reads what is new in the folder, the oldest first.
func (s *imapSession) poll(ctx context.Context) (came Came, err error) {
	mem, err := s.register.memory(ctx, s.Mailbox)
	if err != nil {
		return came, err
	}

	s.conn.step(stepWithin, maxStep)
	folder, err := s.client.Select(s.Folder, nil).Wait()
	if err != nil {
		return came, fmt.Errorf("open folder %s: %w", s.Folder, err)
	}
	if mem.validity != folder.UIDValidity {
		mem.uid = 0 // the numbers mean other messages now
	}

	uids, err := s.search(imap.UID(mem.uid), folder)
	if err != nil {
		return came, err
	}
	slices.Sort(uids)
	if s.Move == "" { // a search from 8 on finds 7 too, where that is the last (RFC 3501, 6.4.8)
		uids = slices.DeleteFunc(uids, func(uid imap.UID) bool { return uid <= imap.UID(mem.uid) })
	}
	if len(uids) > maxPoll {
		uids = uids[:maxPoll]
		came.More = true
	}

	for some := range slices.Chunk(uids, markEvery) {
		if err := s.readSome(ctx, folder, some, &came); err != nil {
			came.More = false
			return came, err
		}
	}
	return came, nil
}

// readSome reads messages and marks those that were stored, also when it ends with an
// error.
func (s *imapSession) readSome(ctx context.Context, folder *imap.SelectData, uids []imap.UID, came *Came) error {
	var stored []imap.UID
	var last imap.UID // every message up to it is done
	var failed error
	for _, uid := range uids {
		unfit, err := s.readOne(ctx, uid)
		switch {
		case errors.Is(err, errGone):
		case err != nil:
			failed = err
		case unfit != nil:
			failed = s.quarantine(ctx, uid, unfit)
		default:
			stored = append(stored, uid)
		}
		if failed != nil {
			break
		}
		if unfit != nil {
			came.Quarantined++
		}
		last = uid
	}

	if len(stored) > 0 {
		if err := s.mark(folder, stored); err != nil {
			return err
		}
		came.Stored += len(stored)
	}
	if last != 0 && s.Move == "" {
		if err := s.register.done(ctx, s.Mailbox, folder.UIDValidity, uint32(last)); err != nil {
			return err
		}
	}
	return failed
}

// readOne fetches a message and hands it over; the results are those of gate.Offer. A
// message that the server cannot give is as unfit as one that the sink cannot use.
func (s *imapSession) readOne(ctx context.Context, uid imap.UID) (unfit, err error) {
	message, err := s.fetch(uid)
	if lasting(err) {
		return err, nil
	}
	if err != nil {
		return nil, err
	}
	return s.gate.Offer(ctx, s.name, message)
}

// mark tells the folder that messages were read.
func (s *imapSession) mark(folder *imap.SelectData, uids []imap.UID) error {
	set := imap.UIDSetNum(uids...)
	if s.Move != "" {
		return s.moveTo(set, s.Move)
	}

	var flags []imap.Flag
	for _, flag := range []imap.Flag{imap.FlagSeen, keywordDone} {
		if allows(folder, flag) {
			flags = append(flags, flag)
		}
	}
	if len(flags) == 0 {
		return nil // the UID is remembered
	}
	return s.flag(set, flags...)
}

func (s *imapSession) flag(set imap.UIDSet, flags ...imap.Flag) error {
	s.conn.step(stepWithin, maxStep)
	err := s.client.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: flags}, nil).Close()
	if err != nil {
		return fmt.Errorf("flag messages: %w", err)
	}
	return nil
}

// moveTo moves messages to another folder, which it makes when it is missing.
func (s *imapSession) moveTo(set imap.UIDSet, folder string) error {
	err := s.tryMove(set, folder)
	if !refused(err) {
		return err
	}

	s.conn.step(stepWithin, maxStep)
	if s.client.Create(folder, nil).Wait() != nil {
		return err // it is there, and something else is wrong
	}
	s.conn.step(stepWithin, maxStep)
	if err := s.client.Subscribe(folder).Wait(); err != nil && !refused(err) {
		return fmt.Errorf("subscribe to folder %s: %w", folder, err)
	}
	return s.tryMove(set, folder)
}

// tryMove moves messages with MOVE (RFC 6851), or step by step where the server has no
// such command: only what was copied is marked as deleted. It is removed with UID EXPUNGE
// (RFC 4315); without that it stays, marked: EXPUNGE would remove what others have marked.
func (s *imapSession) tryMove(set imap.UIDSet, folder string) error {
	s.conn.step(stepWithin, maxStep)
	if s.client.Caps().Has(imap.CapMove) {
		if _, err := s.client.Move(set, folder).Wait(); err != nil {
			return fmt.Errorf("move messages to %s: %w", folder, err)
		}
		return nil
	}

	if _, err := s.client.Copy(set, folder).Wait(); err != nil {
		return fmt.Errorf("copy messages to %s: %w", folder, err)
	}
	if err := s.flag(set, imap.FlagDeleted); err != nil {
		return err
	}
	if !s.client.Caps().Has(imap.CapUIDPlus) {
		return nil
	}
	s.conn.step(stepWithin, maxStep)
	if err := s.client.UIDExpunge(set).Close(); err != nil {
		return fmt.Errorf("remove messages that were copied to %s: %w", folder, err)
	}
	return nil
}

// quarantine takes a message out of the way that cannot be used: to a folder of its own,
// or where that is refused with the flag \Flagged. It is counted first: a message is not
// put away while Redis is.
func (s *imapSession) quarantine(ctx context.Context, uid imap.UID, why error) error {
	if err := s.register.quarantined(ctx, s.Mailbox, ""); err != nil {
		return err
	}

	place := "folder " + QuarantineFolder
	err := s.moveTo(imap.UIDSetNum(uid), QuarantineFolder)
	if refused(err) {
		place = `the folder itself, with the flag \Flagged`
		err = s.flag(imap.UIDSetNum(uid), imap.FlagFlagged)
		if refused(err) && s.Move == "" {
			err = nil // its UID is remembered
		}
	}
	if err != nil {
		return fmt.Errorf("put message %d in quarantine: %w", uid, err)
	}
	s.noteQuarantine(ctx, why, "uid", uint32(uid), "place", place)
	return nil
}
