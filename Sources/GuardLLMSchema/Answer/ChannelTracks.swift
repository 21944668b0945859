import GuardCore

/// Where texts and tokens stand in their channels, over all events of an answer.
///
/// Tokens (logprobs) should spell the channel's text, but they may run ahead of it (a server holds text back until a
/// character is complete or a stop string is excluded) or belong to other text (reasoning, tool calls). So both are
/// laid side by side: what one has and the other not yet is kept, and the first byte that differs ends the alignment:
/// from then on tokens have no range.
struct ChannelTracks: Sendable {
    fileprivate struct Track: Sendable {
        var textEnd = 0
        var tokenEnd = 0
        var isAligned = true
        /// Bytes between `min(textEnd, tokenEnd)` and the larger of both, from `head` on.
        var ahead: [UInt8] = []
        var head = 0
        /// The whole text; kept only for channels that a final field repeats.
        var text: [UInt8]?
    }

    fileprivate var tracks: [ChannelID: Track] = [:]
    private let laggingBytesMax: Int

    init(laggingBytesMax: Int = 4096) { self.laggingBytesMax = laggingBytesMax }

    /// Keeps the text of the channel, so that a repetition of it can be told from other text.
    mutating func keepText(of channel: ChannelID) {
        if tracks[channel] == nil {
            var track = Track()
            track.text = []
            tracks[channel] = track
        }
    }

    /// Sets offsets of texts and ranges of sides.
    mutating func place(_ reader: inout AnswerReader) {
        let starts = placeTexts(&reader.parts, from: 0)
        for index in reader.parts.sides.indices {
            let channel = reader.parts.sides[index].channel
            switch reader.parts.sides[index].relation {
            case .token:
                guard let bytes = reader.tokenBytes[index] else { continue }
                reader.parts.sides[index].range = tracks[channel, default: Track()].appendToken(bytes, laggingBytesMax)
            case .companion:
                guard let start = starts[channel] else { continue }
                reader.parts.sides[index].range = start..<(tracks[channel]?.textEnd ?? start)
            case .whole:
                placeWhole(index, &reader)
            }
        }
    }

    /// - Returns: for each channel with text, where it began.
    private mutating func placeTexts(_ parts: inout AnswerParts, from first: Int) -> [ChannelID: Int] {
        var starts: [ChannelID: Int] = [:]
        for index in first..<parts.texts.count {
            let channel = parts.texts[index].channel
            var track = tracks.removeValue(forKey: channel) ?? Track()
            if starts[channel] == nil { starts[channel] = track.textEnd }
            parts.texts[index].offset = track.textEnd
            track.appendText(parts.texts[index].text, laggingBytesMax)
            tracks[channel] = track
        }
        return starts
    }

    /// A final field that begins with the channel's text repeats it; what it has more is text of the channel that
    /// only this field shows. One that does not is a channel of its own.
    private mutating func placeWhole(_ index: Int, _ reader: inout AnswerReader) {
        guard let whole = reader.wholeTexts[index] else { return }
        let channel = reader.parts.sides[index].channel
        let known = tracks[channel]?.text ?? []
        if whole.starts(with: known) {
            reader.parts.sides[index].range = 0..<whole.count
            if whole.count > known.count {
                let first = reader.parts.texts.count
                reader.parts.texts.append(
                    AnswerText(channel: channel, offset: 0, text: Array(whole[known.count...]), places: []))
                _ = placeTexts(&reader.parts, from: first)
            }
        } else {
            let own = ChannelID(choice: channel.choice, kind: .generatedText)
            let first = reader.parts.texts.count
            reader.parts.texts.append(
                AnswerText(
                    channel: own, offset: 0, text: whole, places: reader.parts.sides[index].place.map { [$0] } ?? []))
            _ = placeTexts(&reader.parts, from: first)
            // Now a text in its own right; the side must not write the same place a second time.
            reader.parts.sides[index].channel = own
            reader.parts.sides[index].range = 0..<whole.count
            reader.parts.sides[index].place = nil
        }
    }
}

extension ChannelTracks.Track {
    fileprivate mutating func appendText(_ bytes: [UInt8], _ laggingBytesMax: Int) {
        text?.append(contentsOf: bytes)
        let leads = textEnd >= tokenEnd
        textEnd += bytes.count
        guard isAligned else { return }
        advance(bytes, leads: leads, laggingBytesMax)
    }

    fileprivate mutating func appendToken(_ bytes: [UInt8], _ laggingBytesMax: Int) -> ByteRange? {
        guard isAligned else { return nil }
        let leads = tokenEnd >= textEnd
        let start = tokenEnd
        tokenEnd += bytes.count
        advance(bytes, leads: leads, laggingBytesMax)
        return isAligned ? start..<tokenEnd : nil
    }

    /// `bytes` continue one side; `leads`: the side that is ahead (or level).
    private mutating func advance(_ bytes: [UInt8], leads: Bool, _ laggingBytesMax: Int) {
        if leads {
            ahead.append(contentsOf: bytes)
        } else {
            let common = min(ahead.count - head, bytes.count)
            guard ahead[head..<head + common].elementsEqual(bytes[..<common]) else {
                isAligned = false
                ahead = []
                head = 0
                return
            }
            head += common
            if head == ahead.count {
                ahead.removeAll(keepingCapacity: true)
                head = 0
                ahead.append(contentsOf: bytes[common...])
            } else if head > 4096 && head * 2 > ahead.count {
                ahead.removeFirst(head)
                head = 0
            }
        }
        if ahead.count - head > laggingBytesMax {
            isAligned = false
            ahead = []
            head = 0
        }
    }
}
