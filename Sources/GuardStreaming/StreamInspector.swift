package import GuardCore
import GuardJSON
package import GuardLLMSchema
package import GuardMatching
import GuardRules

/// Judges one streamed answer: bytes of the server in, bytes for the client out (DESIGN section 4 "Streams").
///
/// Each channel has its own `ChannelInspector`; this takes events apart and puts out what may leave. An event whose
/// text is held waits, or leaves in two parts: the released text at once, the rest later. What tells of the text
/// (logprobs, token ids, TGI's final `generated_text`) leaves with it and is edited alike. Events of one channel do not
/// wait for another channel; an event that ends a choice, or has no text, waits for all of its choice; usage and end
/// mark wait for everything.
///
/// One answer lives on one event loop; the scratch is the loop's. Time is the caller's, in milliseconds.
package struct StreamInspector {
    package let policy: StreamPolicy
    package let options: StreamOptions
    package private(set) var decoder: StreamDecoder

    package var statistics = StreamStatistics()
    /// What the server has generated, judged or not: charged whatever leaves.
    package private(set) var evidence = TokenEvidence()
    package private(set) var findings: [Finding] = []
    package private(set) var edits: [StreamEditRecord] = []
    package private(set) var failures: [StreamFailure] = []
    /// Rules that blocked the answer, ascending by index.
    package private(set) var blockingRules: [RuleID] = []

    var tracks: [ChannelTrack] = []
    private var trackIndex: [ChannelID: Int] = [:]
    var queue: [StreamFrame] = []
    /// Frames before this one are gone.
    var queueHead = 0
    /// By track: frames in the queue.
    var queuedOfTrack: [Int] = []
    /// By choice: frames in the queue.
    var queuedOfChoice: [Int: Int] = [:]
    var queuedFences = 0
    var queuedBytes = 0
    /// A block that is proven and not yet carried out: first leaves what has to.
    private var pendingBlock: StreamBlock?
    private var seenChoices: [Int] = []
    var endedChoices: Set<Int> = []
    private var sawEndMark = false
    var output: [UInt8] = []

    package init(endpoint: Endpoint, policy: StreamPolicy, options: StreamOptions, eventBytesMax: Int = 8_388_608) {
        self.policy = policy
        self.options = options
        decoder = StreamDecoder(endpoint: endpoint, eventBytesMax: eventBytesMax)
    }

    /// Nothing more will be written: the connection to the server may be closed.
    package var isOver: Bool { statistics.end != .open }
    /// Text is held: while it is, the proxy sends a comment every 15 s.
    package var isHolding: Bool { queueHead < queue.count }
    /// Memory that this answer holds: for `limits.bufferedBytes`.
    package var bufferedBytes: Int { queuedBytes + decoder.bufferedBytes }
    /// Bytes of text that may not leave yet.
    package var heldBytes: Int { tracks.reduce(0) { $0 + $1.held } }
    /// Channels that have shown themselves.
    package var channelsCount: Int { tracks.count }
    /// What the server says it has used.
    package var usage: Usage? { decoder.usage }
    /// An event stream comment that keeps connections alive and means nothing.
    package static let keepAlive = Array(": \n\n".utf8)

    /// Takes bytes as they came; returns what is to be written now.
    package mutating func receive(
        _ bytes: some Collection<UInt8>, now: Int, scratch: inout MatchScratch
    ) -> [UInt8] {
        guard !isOver else { return [] }
        let events: [StreamEvent]
        do { events = try decoder.append(bytes) } catch {
            unreadable("event_too_large")
            return take()
        }
        for event in events {
            if isOver { break }
            statistics.events += 1
            receive(event, now, &scratch)
        }
        let held = heldBytes
        if held > statistics.heldBytesMax { statistics.heldBytesMax = held }
        return take()
    }

    /// The server closed the connection; returns what is to be written before the client's is closed.
    package mutating func finish(now: Int, scratch: inout MatchScratch) -> [UInt8] {
        guard !isOver else { return [] }
        let isTruncated = decoder.endsTruncated()
        let hasEnded = sawEndMark || (!seenChoices.isEmpty && seenChoices.allSatisfy { endedChoices.contains($0) })
        finishChannels(of: nil, &scratch)
        guard !isOver else { return take() }
        drain(now)
        if pendingBlock != nil {
            carryOutBlock()
            return take()
        }
        if hasEnded && !isTruncated {
            statistics.end = .complete
        } else {
            statistics.end = .truncated
            if !options.isMonitor {
                // What was judged has left; the client must not take it for the whole. The failure mode has no say in
                // it: that is for answers that cannot be read.
                output += decoder.errorEnd(APIError(.upstreamBroken, "The model server ended the answer early."))
            }
        }
        return take()
    }

    /// Ends the answer on the proxy's behalf (token limit, idle timeout, drain): what is held is dropped.
    package mutating func cut(_ ending: [UInt8]) -> [UInt8] {
        guard !isOver else { return [] }
        statistics.cut = true
        statistics.end = .failed
        dropQueue()
        output += ending
        return take()
    }

    /// Ends the answer as the API would have, at the output limit that the server ignores.
    package mutating func end(finishReason: String, usage: Usage?) -> [UInt8] {
        let content = trackIndex[ChannelID(choice: 0, kind: .content)].flatMap { tracks[$0].delivered } ?? []
        return cut(decoder.end(finishReason: finishReason, usage: usage, delivered: content))
    }

    private mutating func take() -> [UInt8] {
        var bytes: [UInt8] = []
        swap(&bytes, &output)
        return bytes
    }

    // MARK: events

    private mutating func receive(_ event: StreamEvent, _ now: Int, _ scratch: inout MatchScratch) {
        switch event.kind {
        case .comment:
            output += event.raw
        case .unreadable:
            skip("unreadable_event")
            if failsClosed { return unreadable("unreadable_event") }
            output += event.raw
        case .end:
            sawEndMark = true
            finishChannels(of: nil, &scratch)
            guard !isOver else { return }
            pass(event, now, &scratch)
            if policy.isEmpty { statistics.end = .complete }
        case .error:
            // What the server has said so far is all there will be.
            finishChannels(of: nil, &scratch)
            guard !isOver else { return }
            pass(event, now, &scratch)
            if !isOver { statistics.end = .upstreamError }
        case .message, .unknown:
            pass(event, now, &scratch)
        }
    }

    /// Whether text that cannot be judged ends the answer.
    private var failsClosed: Bool { options.failure == .closed && !options.isMonitor && !policy.isEmpty }

    private mutating func pass(_ event: StreamEvent, _ now: Int, _ scratch: inout MatchScratch) {
        statistics.tokensCount &+= event.parts.tokensCount ?? 0
        evidence.add(tokens: event.parts.tokensCount)
        for text in event.texts { evidence.add(text.text, to: text.channel) }
        if let usage = decoder.usage { evidence.usage = usage }
        for choice in event.parts.choices where !seenChoices.contains(choice) { seenChoices.append(choice) }
        if !event.parts.opaque.isEmpty {
            skip("opaque")
            if failsClosed { return unreadable("opaque") }
        }
        let isUsageOnly = event.usage != nil && event.parts.choices.isEmpty && event.texts.isEmpty
        if options.dropsUsage && isUsageOnly { return }
        if policy.isEmpty {
            for end in event.ends { endedChoices.insert(end.choice) }
            output += event.raw
            return
        }

        var textTracks: [Int] = []
        for text in event.texts {
            let index = track(text.channel)
            textTracks.append(index)
            guard !text.text.isEmpty else { continue }
            statistics.textBytes &+= text.text.count
            if tracks[index].isFinished, tracks[index].inspector != nil {
                // Nothing was said of text behind the end: it is not judged together with what came before.
                skip("text_after_end")
                if failsClosed { return unreadable("text_after_end") }
                tracks[index].inspector = nil
            }
            finishNames(before: text.channel, &scratch)
            if isOver { return }
            // Text behind a block in the same event is not judged any more, and not released either.
            guard pendingBlock == nil else { continue }
            note(tracks[index].append(text.text, scratch: &scratch), of: index)
            if isOver { return }
        }
        let unread = pendingBlock == nil ? judgeUnread(event, &scratch) : []
        for end in event.ends where !isOver { finishChannels(of: end.choice, &scratch) }
        if isOver { return }

        let sideTracks = event.sides.map { track($0.channel) }
        var all: [Int] = []
        for index in textTracks + sideTracks where !all.contains(index) { all.append(index) }
        let isBlocked = pendingBlock != nil
        var frame = StreamFrame(
            event: event, arrival: now, texts: textTracks, sides: sideTracks, tracks: all,
            choices: event.parts.choices, isFence: !isBlocked && (!event.ends.isEmpty || all.isEmpty),
            isBarrier: event.parts.choices.isEmpty, delivered: event.texts.map(\.offset))
        frame.unreadEdits = unread
        if isBlocked {
            // What had to be released for the proving prefix may lie in this very event.
            if !frame.texts.isEmpty { enqueue(frame, now) }
            drain(now)
            carryOutBlock()
        } else {
            enqueue(frame, now)
        }
    }

    /// Strings that the schema does not know are complete texts of their own.
    private mutating func judgeUnread(_ event: StreamEvent, _ scratch: inout MatchScratch) -> [JSONEdit] {
        guard !event.unread.isEmpty, let selection = policy.selection(.extension) else { return [] }
        var edits: [JSONEdit] = []
        for text in event.unread {
            var inspector = ChannelInspector(plan: policy.plan, selection: selection, tokens: policy.tokens)
            statistics.textBytes &+= text.text.count
            var track = ChannelTrack(
                id: ChannelID(choice: 0, kind: .special), role: .extension, index: tracks.count, inspector: nil)
            for update in [inspector.append(text.text.span, scratch: &scratch), inspector.finish(scratch: &scratch)] {
                track.edits += update.edits
                record(update, segment: tracks.count, role: .extension, kind: "extension")
                if let block = update.block {
                    pendingBlock = block
                    return []
                }
                if fails(update) { return [] }
            }
            if !track.edits.isEmpty {
                let new = track.rewritten(0..<text.text.count, of: text.text, offset: 0)
                edits.append(JSONEdit(range: text.place, replacement: JSONEscape.escaped(new)))
            }
        }
        return edits
    }

    // MARK: channels

    private mutating func track(_ id: ChannelID) -> Int {
        if let index = trackIndex[id] { return index }
        let role = StreamPolicy.role(id.kind)
        var track = ChannelTrack(
            id: id, role: role, index: tracks.count,
            inspector: policy.selection(role).map { ChannelInspector(plan: policy.plan, selection: $0, tokens: policy.tokens) })
        if decoder.endpoint.shape == .tgi, id.kind == .content { track.delivered = [] }
        trackIndex[id] = tracks.count
        tracks.append(track)
        queuedOfTrack.append(0)
        return tracks.count - 1
    }

    /// A tool's name ends where its arguments or the next call begin: no choice's end is waited for.
    private mutating func finishNames(before channel: ChannelID, _ scratch: inout MatchScratch) {
        for index in tracks.indices
        where tracks[index].id.choice == channel.choice && tracks[index].id.kind.isName && !tracks[index].isFinished
            && tracks[index].id.kind.isName(endedBy: channel.kind)
        {
            guard pendingBlock == nil else { return }
            note(tracks[index].finish(scratch: &scratch), of: index)
            if isOver { return }
        }
    }

    /// `nil`: of all choices.
    private mutating func finishChannels(of choice: Int?, _ scratch: inout MatchScratch) {
        for index in tracks.indices where choice == nil || tracks[index].id.choice == choice {
            guard pendingBlock == nil else { return }
            note(tracks[index].finish(scratch: &scratch), of: index)
            if isOver { return }
        }
    }

    private mutating func note(_ update: ChannelUpdate?, of index: Int) {
        guard let update else { return }
        record(update, segment: index, role: tracks[index].role, kind: tracks[index].id.description)
        if let block = update.block {
            pendingBlock = block
        } else {
            _ = fails(update)
        }
    }

    private mutating func record(_ update: ChannelUpdate, segment: Int, role: Role, kind: String) {
        if update.leaked { statistics.leakFree = false }
        statistics.classifyNanoseconds += update.classifyNanoseconds
        for match in update.findings {
            guard policy.bundle.rules.indices.contains(match.rule) else { continue }
            let rule = policy.bundle.rules[match.rule]
            let effect = policy.plan.effect(ofRule: match.rule)
            let action: Action =
                switch effect {
                case .block: .block
                case .mask: .mask
                case .allow: .allow
                case .report: rule.action == .flag && rule.mode == .enforce && !options.isMonitor ? .flag : .allow
                }
            let finding = Finding(
                rule: rule.id, severity: rule.severity, action: action, wouldAction: rule.action, phase: .output,
                segment: segment, role: role, kind: kind, range: match.range, view: rule.view, score: match.score,
                explanation: match.explanation)
            // Several detectors of a rule may find the same.
            if !findings.suffix(16).contains(finding) { findings.append(finding) }
        }
        for edit in update.edits {
            edits.append(
                StreamEditRecord(
                    segment: segment, kind: kind, range: edit.range, replacementBytes: edit.text.count,
                    rules: edit.rules.compactMap(ruleID)))
        }
    }

    private func ruleID(_ index: Int) -> RuleID? {
        policy.bundle.rules.indices.contains(index) ? policy.bundle.rules[index].id : nil
    }

    // MARK: ends of ours

    /// Failures are recorded; those of rules that act end the answer where the failure mode is closed.
    private mutating func fails(_ update: ChannelUpdate) -> Bool {
        guard !update.failures.isEmpty else { return false }
        failures += update.failures
        for failure in update.failures { skip(failure.reason.label) }
        guard failsClosed else { return false }
        let isFatal = update.failures.contains { failure in
            failure.rule.map { policy.plan.effect(ofRule: $0) != .report } ?? true
        }
        if isFatal { unreadable(update.failures.first?.reason.label ?? "failed") }
        return isFatal
    }

    private mutating func skip(_ label: String) {
        statistics.scanComplete = false
        statistics.skipped.insert(label)
    }

    private mutating func unreadable(_ label: String) {
        skip(label)
        if options.failure == .open || options.isMonitor {
            // A broken frame cannot pass even then: it is no event.
            statistics.end = .truncated
            return
        }
        statistics.end = .failed
        statistics.cut = true
        dropQueue()
        output += decoder.errorEnd(APIError(.upstreamBroken, "The answer could not be checked."))
    }

    /// What had to be released has left: ends the answer; nothing follows.
    private mutating func carryOutBlock() {
        guard let block = pendingBlock else { return }
        blockingRules = block.rules.compactMap(ruleID)
        dropQueue()
        statistics.end = .blocked
        statistics.cut = true
        switch options.onBlock {
        case .error:
            let error = APIError(
                .contentPolicyViolation, "The answer was blocked by policy.", rules: blockingRules.map(\.name))
            output += decoder.errorEnd(error)
        case .contentFilter:
            let open = seenChoices.filter { !endedChoices.contains($0) }.sorted()
            let content = trackIndex[ChannelID(choice: 0, kind: .content)].map { tracks[$0].delivered ?? [] } ?? []
            output += decoder.end(
                finishReason: "content_filter", choices: open.isEmpty ? [0] : open,
                usage: options.dropsUsage ? nil : decoder.usage, delivered: content)
        }
    }

    private mutating func dropQueue() {
        queue.removeAll()
        queueHead = 0
        queuedBytes = 0
        queuedFences = 0
        queuedOfChoice.removeAll()
        for index in queuedOfTrack.indices { queuedOfTrack[index] = 0 }
    }
}
