import GuardCore
import GuardJSON
import GuardLLMSchema

/// The frames that wait, and what leaves of them.
extension StreamInspector {
    mutating func enqueue(_ frame: StreamFrame, _ now: Int) {
        var frame = frame
        if queueHead == queue.count || isFree(frame) {
            if emit(&frame) {
                left(frame, now)
                return
            }
        }
        queue.append(frame)
        count(frame, 1)
        drain(now)
    }

    /// Whether nothing that waits has to leave before `frame`.
    private func isFree(_ frame: StreamFrame) -> Bool {
        if frame.isBarrier { return false }
        if frame.isFence { return frame.choices.allSatisfy { queuedOfChoice[$0] == nil } }
        guard frame.tracks.allSatisfy({ queuedOfTrack[$0] == 0 }) else { return false }
        return queuedFences == 0
            || !queue[queueHead...].contains { waiting in
                !waiting.isGone && waiting.isFence && waiting.choices.contains { frame.choices.contains($0) }
            }
    }

    /// Keeps the counts of what waits.
    private mutating func count(_ frame: StreamFrame, _ step: Int) {
        queuedBytes += step * frame.event.raw.count
        for index in frame.tracks { queuedOfTrack[index] += step }
        for choice in frame.choices {
            let count = (queuedOfChoice[choice] ?? 0) + step
            queuedOfChoice[choice] = count > 0 ? count : nil
        }
        if frame.isFence { queuedFences += step }
    }

    /// Lets go what may leave, in order.
    mutating func drain(_ now: Int) {
        var waitingTracks: [Int] = []
        var waitingChoices: [Int] = []
        var fenced: [Int] = []
        var isAnyWaiting = false
        let queuedTracks = queuedOfTrack.count { $0 > 0 }
        var index = queueHead
        while index < queue.count {
            defer { index += 1 }
            if queue[index].isGone { continue }
            var frame = queue[index]
            let mustWait =
                frame.isBarrier
                ? isAnyWaiting
                : frame.isFence
                    ? frame.choices.contains { waitingChoices.contains($0) }
                    : frame.tracks.contains { waitingTracks.contains($0) }
                        || frame.choices.contains { fenced.contains($0) }
            if !mustWait {
                frame.isGone = emit(&frame)
                queue[index] = frame
                if frame.isGone {
                    count(frame, -1)
                    left(frame, now)
                    continue
                }
            }
            isAnyWaiting = true
            for track in frame.tracks where !waitingTracks.contains(track) { waitingTracks.append(track) }
            for choice in frame.choices where !waitingChoices.contains(choice) { waitingChoices.append(choice) }
            if frame.isFence { fenced += frame.choices }
            // A long hold: all that waits further back is behind what waits here.
            if waitingTracks.count >= queuedTracks, waitingChoices.count >= queuedOfChoice.count { break }
        }
        while queueHead < queue.count, queue[queueHead].isGone { queueHead += 1 }
        if queueHead == queue.count {
            queue.removeAll(keepingCapacity: true)
            queueHead = 0
        } else if queueHead > 64, queueHead > queue.count / 2 {
            queue.removeFirst(queueHead)
            queueHead = 0
        }
    }

    private mutating func left(_ frame: StreamFrame, _ now: Int) {
        for end in frame.event.ends { endedChoices.insert(end.choice) }
        statistics.heldMillisecondsMax = max(statistics.heldMillisecondsMax, now - frame.arrival)
        if case .end = frame.event.kind { statistics.end = .complete }
    }

    /// Writes what may leave of a frame. Returns whether that was all of it.
    private mutating func emit(_ frame: inout StreamFrame) -> Bool {
        var rewrite = AnswerParts.Rewrite()
        var isComplete = true
        var hasNew = false
        var isRewritten = frame.isRest || !frame.unreadEdits.isEmpty
        for (index, text) in frame.event.texts.enumerated() {
            let track = tracks[frame.texts[index]]
            let range = text.channelRange
            let end = min(range.upperBound, max(track.released, frame.delivered[index]))
            if end < range.upperBound {
                // Clients take a tool's name and id from one event.
                if text.channel.kind.isName { return false }
                isComplete = false
            }
            if end > frame.delivered[index] { hasNew = true }
            let edited = track.isEdited(frame.delivered[index]..<end)
            if edited || end < range.upperBound || frame.delivered[index] > range.lowerBound {
                isRewritten = true
                rewrite.texts[index] = track.rewritten(
                    frame.delivered[index]..<end, of: text.text, offset: text.offset)
            }
        }
        var leaving: [Int] = []
        for (index, side) in frame.event.sides.enumerated() where !frame.doneSides.contains(index) {
            switch judge(side, frame.sides[index]) {
            case .leaves: leaving.append(index)
            case .dropped:
                statistics.droppedSides.insert(side.name)
                frame.doneSides.insert(index)
            case .waits: isComplete = false
            }
        }
        guard isComplete || hasNew else { return false }

        rewrite.dropped = frame.doneSides
        if isComplete {
            for index in leaving where frame.event.sides[index].relation == .whole {
                let track = tracks[frame.sides[index]]
                if !track.edits.isEmpty, let delivered = track.delivered {
                    rewrite.wholes[index] = delivered + pending(of: frame, track: frame.sides[index], rewrite)
                    isRewritten = true
                }
            }
        } else {
            // Only the text that is released and its tokens; all else goes with the rest.
            rewrite.clearsEnds = true
            for (index, side) in frame.event.sides.enumerated() {
                if side.relation == .token, leaving.contains(index) {
                    frame.doneSides.insert(index)
                } else {
                    rewrite.dropped.insert(index)
                }
            }
        }
        if isRewritten || !isComplete || !rewrite.dropped.isEmpty {
            write(frame, rewrite)
        } else {
            output += frame.event.raw
        }
        for (index, text) in frame.event.texts.enumerated() {
            let trackIndex = frame.texts[index]
            let end = min(text.channelRange.upperBound, max(tracks[trackIndex].released, frame.delivered[index]))
            if tracks[trackIndex].delivered != nil {
                let piece = tracks[trackIndex].rewritten(
                    frame.delivered[index]..<end, of: text.text, offset: text.offset)
                tracks[trackIndex].delivered? += piece
            }
            frame.delivered[index] = end
        }
        frame.isRest = true
        return isComplete
    }

    /// What this very frame adds to a channel whose whole text it repeats.
    private func pending(of frame: StreamFrame, track: Int, _ rewrite: AnswerParts.Rewrite) -> [UInt8] {
        var out: [UInt8] = []
        for (index, text) in frame.event.texts.enumerated() where frame.texts[index] == track {
            out += rewrite.texts[index] ?? Array(text.text)
        }
        return out
    }

    private mutating func write(_ frame: StreamFrame, _ rewrite: AnswerParts.Rewrite) {
        var edits = frame.event.parts.edits(rewrite) + frame.unreadEdits
        if frame.isRest {
            let (removals, ranges) = frame.repetitionEdits()
            edits.removeAll { edit in ranges.contains { $0.overlaps(edit.range) || $0.contains(edit.range.lowerBound) }
            }
            edits += removals
        }
        output += frame.event.reframed(edits)
    }

    private enum SideVerdict { case leaves, dropped, waits }

    private func judge(_ side: SideField, _ index: Int) -> SideVerdict {
        let track = tracks[index]
        guard let range = side.range else {
            // It does not fit the text: nobody knows what it shows, so it leaves only if nothing of its choice must not.
            let isClean = tracks.allSatisfy {
                $0.id.choice != track.id.choice || ($0.edits.isEmpty && $0.held == 0)
            }
            return isClean ? .leaves : .dropped
        }
        if range.upperBound > track.released {
            // It shows text that has not come; after the end it never will.
            return track.isFinished ? .dropped : .waits
        }
        if side.relation == .whole { return .leaves }
        return track.isEdited(range) ? .dropped : .leaves
    }
}
