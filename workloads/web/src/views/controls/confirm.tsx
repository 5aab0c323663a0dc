import { useWords } from '../../language/language';
import { Button } from './button';
import { DialogFrame } from './dialog';
import { Trouble } from './trouble';
import { useAction } from './action';

/** Asks before what cannot be taken back. The focus starts on the way out. */
export default function Confirm({ title, text, action, onConfirm, onClose }: {
  title: string;
  text: string;
  action: string;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
}) {
  const say = useWords();
  const { run, busy, error } = useAction();
  return (
    <DialogFrame title={title} size="small" alert onClose={onClose}>
      <p>{text}</p>
      <Trouble error={error} />
      <div className="dialog-actions">
        <Button onClick={onClose} autoFocus>{say('cancel')}</Button>
        <Button look="danger" busy={busy} onClick={() => void run(onConfirm).then((done) => done && onClose())}>{action}</Button>
      </div>
    </DialogFrame>
  );
}
