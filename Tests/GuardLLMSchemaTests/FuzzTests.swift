import GuardTesting
import GuardCore
import GuardJSON
import Testing

@testable import GuardLLMSchema

/// Bytes that nobody meant: nothing crashes or hangs, and what is accepted keeps its promises.
struct FuzzTests {
    private static let interesting: [String] = [
        "{", "}", "[", "]", "\"", ",", ":", "null", "true", "-1", "0", "9999999999", "1e5", "\"text\"", "\\u0041",
        "\\ud83d\\ude00", "é", "messages", "index", "content", "\n", "\r", "data: ", "\n\n", "{}", "[]",
    ]

    private func mutate(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let at = bytes.indices.randomElement(using: &random) ?? 0
            let piece = Array((Self.interesting.randomElement(using: &random) ?? "").utf8)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes.remove(at: at)
            case 1: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes.insert(contentsOf: piece, at: at)
            case 3: bytes.removeSubrange(at..<min(at + Int.random(in: 1..<20, using: &random), bytes.count))
            case 4:
                // One value for another: stays JSON more often than a byte does.
                let end = min(at + Int.random(in: 1..<30, using: &random), bytes.count)
                bytes.replaceSubrange(at..<end, with: piece)
            default: bytes[at] = piece.first ?? 0
            }
        }
        return bytes
    }

    /// Replaces random values of a document: wrong types everywhere.
    private func retype(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        guard let document = try? JSONDocument(bytes) else { return bytes }
        var nodes: [JSONNode] = []
        var queue = [document.root]
        while let node = queue.popLast() {
            nodes.append(node)
            queue += Array(node.elements) + node.members.map(\.value)
        }
        let edits = (0..<Int.random(in: 1...2, using: &random)).compactMap { _ -> JSONEdit? in
            let value = [
                "null", "true", "5", "-0.5", "\"s\"", "[]", "{}", "[\"x\",{\"y\":1}]",
                "{\"text\":\"t\",\"type\":\"text\"}",
            ]
            guard let node = nodes.randomElement(using: &random) else { return nil }
            return .replacing(node, with: Array((value.randomElement(using: &random) ?? "null").utf8))
        }
        return JSONEdit.applying(edits, to: bytes)
    }

    private static let requests: [(Endpoint, [UInt8])] = Case.guarded.compactMap { test in
        guard let endpoint = test.endpoint, let body = test.body, body.count < 4000 else { return nil }
        return (endpoint, body)
    }

    private static let answers: [(Endpoint, [UInt8])] = Case.guarded.filter { !$0.isStream }.compactMap { test in
        guard let endpoint = test.endpoint, let body = test.responseBody else { return nil }
        return (endpoint, body)
    }

    private static let streams: [(Endpoint, [UInt8])] = Case.guarded.filter(\.isStream).compactMap { test in
        guard let endpoint = test.endpoint, let body = test.responseBody else { return nil }
        return (endpoint, body)
    }

    @Test func requests() throws {
        var random = SeededRandom(seed: 21)
        var accepted = 0
        for round in 0..<3000 {
            guard let (endpoint, valid) = Self.requests.randomElement(using: &random) else { continue }
            let body = round.isMultiple(of: 2) ? mutate(valid, &random) : retype(valid, &random)
            guard let view = try? RequestView.parse(endpoint, body: body) else { continue }
            accepted += 1
            // Edits of an accepted request give an accepted request.
            var edits = view.edits(outputLimit: 5) + view.edits(includeUsage: true)
            var masked: Set<Int> = []
            if let index = view.segments.indices.randomElement(using: &random), !view.segments[index].text.isEmpty,
                view.segments[index].role != .extension, view.segments[index].kind != "tool.parameters",
                view.segments[index].kind != "constraint", view.segments[index].kind != "custom.role"
            {
                let end = Int.random(in: 1...view.segments[index].text.count, using: &random)
                edits += view.edits(masking: index, range: 0..<end, with: Array("[\"M\"]".utf8))
                masked.insert(index)
            }
            let edited = JSONEdit.applying(edits, to: body)
            guard let again = try? RequestView.parse(endpoint, body: edited) else {
                Issue.record("not read again: \(String(decoding: edited, as: UTF8.self))")
                continue
            }
            #expect(again.outputLimit.value == 5)
            #expect(again.segments.count == view.segments.count)
            for index in view.segments.indices where !masked.contains(index) && index < again.segments.count {
                #expect(again.segments[index].text == view.segments[index].text)
            }
        }
        #expect(accepted > 200)
    }

    @Test func answers() throws {
        var random = SeededRandom(seed: 22)
        var accepted = 0
        for round in 0..<2500 {
            guard let (endpoint, valid) = Self.answers.randomElement(using: &random) else { continue }
            let body = round.isMultiple(of: 2) ? mutate(valid, &random) : retype(valid, &random)
            guard let view = try? AnswerView.parse(endpoint, body: body) else { continue }
            accepted += 1
            let masks = view.channels.filter { !$0.text.isEmpty }.map { channel in
                AnswerView.Mask(
                    channel: channel.id, range: 0..<Int.random(in: 1...channel.text.count, using: &random),
                    replacement: Array("\"M\\".utf8))
            }
            let edited = JSONEdit.applying(view.edits(masking: masks).edits, to: body)
            let again = try AnswerView.parse(endpoint, body: edited)
            for mask in masks {
                let text = again.channels.first { $0.id == mask.channel }?.text
                #expect(text?.starts(with: mask.replacement) == true)
            }
        }
        #expect(accepted > 800)
    }

    @Test func streams() throws {
        var random = SeededRandom(seed: 23)
        for _ in 0..<400 {
            guard let (endpoint, valid) = Self.streams.randomElement(using: &random) else { continue }
            let body = mutate(valid, &random)
            let (whole, events) = try Outcome.stream(endpoint, [body[...]])
            let cut = Int.random(in: 0...body.count, using: &random)
            #expect(try Outcome.stream(endpoint, [body[..<cut], body[cut...]]).0 == whole)
            // Any event with all texts replaced is an event whose texts are these.
            for event in events where !event.texts.isEmpty {
                let texts = Dictionary(uniqueKeysWithValues: event.texts.indices.map { ($0, Array("r\"\($0)".utf8)) })
                let wholes = Dictionary(uniqueKeysWithValues: event.sides.indices.map { ($0, Array("w".utf8)) })
                let bytes = event.reframed(
                    .init(
                        texts: texts, dropped: Set(event.sides.indices.filter { event.sides[$0].relation != .whole }),
                        wholes: wholes))
                var decoder = StreamDecoder(endpoint: endpoint)
                let again = try decoder.append(bytes)
                #expect(again.count == 1)
                for (index, text) in event.texts.enumerated()
                where !text.places.isEmpty && text.channel.kind != .generatedText {
                    let found = again.first?.texts.contains { $0.text == texts[index] }
                    #expect(found == true, "\(String(decoding: bytes, as: UTF8.self))")
                }
            }
        }
    }

    @Test func randomBytes() throws {
        var random = SeededRandom(seed: 24)
        for _ in 0..<800 {
            let bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            for endpoint in Endpoint.allCases {
                _ = try? RequestView.parse(endpoint, body: bytes)
                _ = try? AnswerView.parse(endpoint, body: bytes)
            }
            var decoder = StreamDecoder(endpoint: .chatCompletions)
            _ = try decoder.append(bytes)
            _ = Router(api: .auto).route(method: "POST", target: String(decoding: bytes, as: UTF8.self))
        }
    }
}
