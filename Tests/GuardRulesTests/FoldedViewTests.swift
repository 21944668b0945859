import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardRules

@Suite struct FoldedViewTests {
    struct Row {
        var raw: [UInt8]
        var folded: [UInt8]
        /// Of each folded byte, the raw bytes of the scalar it is from.
        var places: [Range<Int>]
    }

    static func rows() throws -> (rows: [Row], checksum: String) {
        let text = try String(contentsOf: TestData.fixtures.appending(path: "rules/folded.tsv"), encoding: .utf8)
        var rows: [Row] = []
        var checksum = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("#") {
                checksum = String(line.split(separator: " ").last ?? "")
                continue
            }
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 3 else { continue }
            let places = fields[2].split(separator: ",").compactMap { place -> Range<Int>? in
                let ends = place.split(separator: "-").compactMap { Int($0) }
                return ends.count == 2 ? ends[0]..<ends[1] : nil
            }
            rows.append(Row(raw: bytes(fields[0]), folded: bytes(fields[1]), places: places))
        }
        return (rows, checksum)
    }

    static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(digits[$0...($0 + 1)]), radix: 16)
        }
    }

    @Test func equalsPythonsFold() throws {
        let (rows, _) = try Self.rows()
        #expect(rows.count >= 400)
        for row in rows {
            let view = FoldedView(raw: row.raw)
            #expect(view.text == row.folded)
            #expect(view.rawCount == row.raw.count)
            for (offset, place) in row.places.enumerated() {
                #expect(view.rawStart(of: offset) == place.lowerBound || view.text[offset] & 0xC0 == 0x80)
                let isLast = offset + 1 == row.places.count || row.places[offset + 1] != place
                if isLast { #expect(view.rawEnd(of: offset + 1) == place.upperBound) }
            }
            // Every range of whole scalars goes back to exactly the raw scalars.
            let starts = row.folded.indices.filter { row.folded[$0] & 0xC0 != 0x80 }
            for (first, second) in zip(starts, starts.dropFirst(2)) {
                let expected = row.places[first].lowerBound..<row.places[second - 1].upperBound
                #expect(view.rawRange(of: first..<second) == expected)
            }
            #expect(view.rawRange(of: row.folded.count..<row.folded.count) == row.raw.count..<row.raw.count)
        }
    }

    @Test func everyScalarFoldsAsInPython() throws {
        let (_, checksum) = try Self.rows()
        var state: UInt64 = 0xCBF2_9CE4_8422_2325
        let table = FoldTable.shared
        var out: [UInt8] = []
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            out.removeAll(keepingCapacity: true)
            let entry = table.entry(value)
            if entry >= FoldTable.mark {
                out.append(contentsOf: UTF8.encode(scalar) ?? .init())
            } else {
                table.append(entry, to: &out)
            }
            for byte in out { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
            state = (state ^ 0x0A) &* 0x100_0000_01B3
        }
        let hex = String(state, radix: 16)
        #expect(String(repeating: "0", count: 16 - hex.count) + hex == checksum)
    }

    @Test func anyPiecesGiveTheSameView() throws {
        var random = SeededRandom(seed: 11)
        for row in try Self.rows().rows {
            let whole = FoldedView(raw: row.raw)
            for _ in 0..<3 {
                var view = FoldedView()
                var index = 0
                while index < row.raw.count {
                    let end = min(row.raw.count, index + Int.random(in: 1...4, using: &random))
                    view.append(Array(row.raw[index..<end]).span)
                    index = end
                }
                view.finish()
                #expect(view.text == whole.text)
                for offset in 0...whole.text.count {
                    #expect(view.rawStart(of: offset) == whole.rawStart(of: offset))
                    #expect(view.rawEnd(of: offset) == whole.rawEnd(of: offset))
                }
            }
        }
    }

    @Test func foldedOffsetIsTheInverse() throws {
        for row in try Self.rows().rows {
            let view = FoldedView(raw: row.raw)
            for (offset, place) in row.places.enumerated() where offset == 0 || row.places[offset - 1] != place {
                #expect(view.foldedOffset(ofRaw: place.lowerBound) == offset)
            }
            #expect(view.foldedOffset(ofRaw: row.raw.count) == view.text.count)
        }
    }

    @Test func fuzzSmoke() {
        var random = SeededRandom(seed: 3)
        for _ in 0..<4000 {
            let raw = (0..<Int.random(in: 0...40, using: &random)).map { _ -> UInt8 in
                Bool.random(using: &random)
                    ? .random(in: 0x20...0x7E, using: &random) : .random(in: 0...255, using: &random)
            }
            var view = FoldedView()
            let cut = Int.random(in: 0...raw.count, using: &random)
            view.append(Array(raw[..<cut]).span)
            view.append(Array(raw[cut...]).span)
            view.finish()
            #expect(view.text == FoldedView(raw: raw).text)
            #expect(view.rawCount == raw.count)
            #expect(String(validating: view.text, as: UTF8.self) != nil)
            #expect(FoldedView(raw: view.text).text == view.text)
            var last = 0
            for offset in 0...view.text.count {
                let range = view.rawRange(of: last..<offset)
                #expect(range.lowerBound >= 0 && range.upperBound <= raw.count)
                if offset % 3 == 0 { last = offset }
            }
        }
    }
}
