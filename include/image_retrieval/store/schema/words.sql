-- Words in every language, as lexemes of PostgreSQL's own full text search, without an extension or a dictionary.
--
-- A text is a row of units, each at a position. A unit is a run of letters and digits, or one character of a script that
-- writes no spaces (Chinese, Japanese, Korean, Thai, Lao, Burmese, Khmer, and emoji); everything else separates units. A
-- character that another one follows directly is stored together with it, as a bigram; the last one of a run is stored
-- alone. So one bigram finds a Chinese word of two characters, a phrase of bigrams a longer one, and a prefix a single
-- character.
--
-- The column retrieval.image.words holds what these functions return: a change of that needs a migration that computes
-- the column again.


-- Explicit ranges, and lower() under "C", answer alike on every server and in every locale. NFKD parts accents from
-- letters, and NFKC joins what is left, such as Hangul. A tsvector knows no position above 16383.
CREATE OR REPLACE FUNCTION retrieval.folded(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    value := left(value, 16000);
    IF octet_length(value) = length(value) THEN
        RETURN lower(value COLLATE "C");
    END IF;
    value := regexp_replace(
        normalize(value, NFKD),
        '[\u00ad\u0300-\u036f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]',
        '', 'g');
    RETURN translate(
        lower(left(normalize(value, NFKC), 16000) COLLATE "C"),
        '“”„‟«»ØÆŒŁĐÐÞĦŊŦΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩςАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЂЄЅІЈЉЊЋЏҐ',
        '""""""øæœłđðþħŋŧαβγδεζηθικλμνξοπρστυφχψωσабвгдежзиклмнопрстуфхцчшщъыьэюяђєѕіјљњћџґ');
END
$$;
COMMENT ON FUNCTION retrieval.folded IS
    'The first 16,000 characters of a text without differences of width, case and accents; quotation marks become ".';


CREATE OR REPLACE FUNCTION retrieval.unspaced() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2600-\u27bf\u3005-\u9fff\uac00-\ud7a3\uf900-\ufaff\U0001f000-\U0003ffff]';
COMMENT ON FUNCTION retrieval.unspaced IS 'A regular expression for the characters, punctuation aside, of scripts that write no spaces.';


CREATE OR REPLACE FUNCTION retrieval.units(folded text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF octet_length(folded) = length(folded) THEN
        RETURN string_to_array(btrim(regexp_replace(folded, '[^a-z0-9]+', ' ', 'g')), ' ');
    END IF;
    folded := regexp_replace(
        folded,
        '[\u0001-/:-@[-`{-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf×÷\u02c2-\u02df\u037e\u0387\u055a-\u055f\u0589\u05be\u05c0\u05c3'
        '\u05f3\u05f4\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u0e3f\u0e4f\u0e5a\u0e5b\u104a-\u104f\u1680\u17d4-\u17db'
        '\u2000-\u25ff\u27c0-\u2bff\u2e00-\u3004\u3008-\u3030\u3036-\u3040\u3097-\u309c\u30a0\u30fb\ue000-\uf8ff\ufd3e\ufd3f'
        '\ufe10-\ufe6f\uff00-\uffff]+', ' ', 'g');
    folded := regexp_replace(folded, '(' || retrieval.unspaced() || ')(?=' || retrieval.unspaced() || ')', '\1+ ', 'g');
    folded := regexp_replace(
        folded, '(' || retrieval.unspaced() || '(?=[^ +])|[^ ](?=' || retrieval.unspaced() || '))', '\1 ', 'g');
    RETURN string_to_array(btrim(folded), ' ');
END
$$;
COMMENT ON FUNCTION retrieval.units IS
    'The units of a folded text in order; a character that another one follows directly has a + behind it.';


CREATE OR REPLACE FUNCTION retrieval.lexeme(unit text, next text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN right(unit, 1) = '+' THEN coalesce(retrieval.simplified() ->> left(unit, 1), left(unit, 1))
                                   || coalesce(retrieval.simplified() ->> left(next, 1), left(next, 1))
    ELSE coalesce(retrieval.simplified() ->> unit, left(unit, 100))  -- a tsvector holds no lexeme of more than 2046 bytes
END;
COMMENT ON FUNCTION retrieval.lexeme IS 'The lexeme of a unit, which depends on the next one; traditional Chinese becomes simplified.';


CREATE OR REPLACE FUNCTION retrieval.words(value text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    units constant text[] := retrieval.units(retrieval.folded(value));
BEGIN
    RETURN coalesce((
        SELECT string_agg('''' || retrieval.lexeme(unit, next) || ''':' || position, ' ')
        FROM unnest(units, units[2:]) WITH ORDINALITY AS u (unit, next, position)), '');
END
$$;
COMMENT ON FUNCTION retrieval.words IS 'The words of a text, for full text search in every language; compare with @@ retrieval.words_query.';


-- The last character of a run is not asked for, since the bigram before holds it.
CREATE OR REPLACE FUNCTION retrieval.phrase(folded text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    units constant text[] := retrieval.units(folded);
BEGIN
    RETURN (
        SELECT string_agg(coalesce(' <' || position - former || '> ', '') || lexeme, '' ORDER BY position)
        FROM (
            SELECT position, lag(position) OVER (ORDER BY position) AS former,
                   '''' || retrieval.lexeme(unit, next)
                   || CASE WHEN unit ~ ('^' || retrieval.unspaced() || '$') THEN ''':*' ELSE '''' END AS lexeme
            FROM unnest(units, units[2:], array_prepend(NULL, units)) WITH ORDINALITY AS u (unit, next, before, position)
            WHERE right(unit, 1) = '+' OR unit IS NOT NULL AND right(before, 1) IS DISTINCT FROM '+'
        ) AS asked);
END
$$;
COMMENT ON FUNCTION retrieval.phrase IS
    'The tsquery, as text, for the units of a folded text that follow each other directly; null if there are none.';


CREATE OR REPLACE FUNCTION retrieval.word_pattern() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '(-?)(?:"([^"]*)"?|([^\u0001-\u0020\u0085\u1680\u2028\u2029"]+))';
COMMENT ON FUNCTION retrieval.word_pattern IS
    'A regular expression for a part of a folded search for words: its minus sign, its phrase, or its word.';


CREATE OR REPLACE FUNCTION retrieval.word_parts(query text) RETURNS TABLE (phrase text, negated boolean, alternative boolean)
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    part  text[];
    first boolean := true;
    other boolean := false;
BEGIN
    FOR part IN
        SELECT regexp_matches(retrieval.folded(query), retrieval.word_pattern(), 'g')
    LOOP
        IF part[1] = '' AND part[3] = 'or' THEN
            other := NOT first;
            CONTINUE;
        END IF;
        phrase := retrieval.phrase(coalesce(part[2], part[3]));
        IF phrase IS NOT NULL THEN
            negated := part[1] = '-';
            alternative := other;
            RETURN NEXT;
            first := false;
            other := false;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION retrieval.word_parts IS
    'The parts of a search for words: each as a phrase, whether it must not occur, and whether an "or" stands before it.';


CREATE OR REPLACE FUNCTION retrieval.words_query(query text) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT string_agg(
            CASE WHEN number = 1 THEN '' WHEN alternative THEN ' | ' ELSE ' & ' END || CASE WHEN negated THEN '!' ELSE '' END || '(' || phrase || ')',
            '' ORDER BY number)
        FROM retrieval.word_parts(query) WITH ORDINALITY AS p (phrase, negated, alternative, number));
END
$$;
COMMENT ON FUNCTION retrieval.words_query IS
    'The tsquery for words as in a web search: all of them, "a phrase", or, -without; null if there is no word.';


CREATE OR REPLACE FUNCTION retrieval.words_of_both(caption text, told text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN told IS NULL THEN retrieval.words(caption) WHEN caption IS NULL THEN retrieval.words(told)
            ELSE retrieval.words(caption) || retrieval.words(told) END;
COMMENT ON FUNCTION retrieval.words_of_both IS 'The words of two texts, of which either may be null.';
